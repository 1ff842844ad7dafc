package dropout

import (
	"context"

	pb "dropoutd/dropoutpb"
)

// Session is a session on the server.
type Session struct {
	client *Client
	id     string
	seed   uint64
}

// ID is the session's id.
func (s *Session) ID() string { return s.id }

// Seed is the seed of every mask in the session.
func (s *Session) Seed() uint64 { return s.seed }

// Info is the session as it is now.
func (s *Session) Info(ctx context.Context) (*pb.Session, error) {
	request := &pb.GetSessionRequest{SessionId: s.id}
	return call(ctx, s.client, safe, request, s.client.stub.GetSession)
}

// Delete deletes the session.
func (s *Session) Delete(ctx context.Context) error { return s.client.DeleteSession(ctx, s.id) }

// CreateLayer makes a layer, or returns the one that exists with the same contents. ErrNoP for one
// with neither a P nor a Schedule.
func (s *Session) CreateLayer(ctx context.Context, layer *pb.Layer) (*Layer, error) {
	layer, err := withP(layer)
	if err != nil {
		return nil, err
	}
	request := &pb.CreateLayerRequest{SessionId: s.id, Layer: layer}
	if _, err := call(ctx, s.client, safe, request, s.client.stub.CreateLayer); err != nil {
		return nil, err
	}
	return s.Layer(layer.GetLayerId()), nil
}

// Layer is a layer that exists; nothing is asked of the server.
func (s *Session) Layer(id string) *Layer { return &Layer{session: s, id: id} }

// UpdateLayer replaces the whole layer with this id; the answer has its new revision. ErrNoP as
// CreateLayer.
func (s *Session) UpdateLayer(ctx context.Context, layer *pb.Layer) (*pb.Layer, error) {
	layer, err := withP(layer)
	if err != nil {
		return nil, err
	}
	request := &pb.UpdateLayerRequest{SessionId: s.id, Layer: layer}
	return call(ctx, s.client, safe, request, s.client.stub.UpdateLayer)
}

// DeleteLayer deletes a layer with its steps.
func (s *Session) DeleteLayer(ctx context.Context, id string) error {
	request := &pb.DeleteLayerRequest{SessionId: s.id, LayerId: id}
	_, err := call(ctx, s.client, deletion, request, s.client.stub.DeleteLayer)
	return err
}

// SetMode sets layers to train or eval; without ids all layers, and later ones too. It returns the
// ids of the layers that were set.
func (s *Session) SetMode(ctx context.Context, mode pb.Mode, layerIDs ...string) ([]string, error) {
	request := &pb.SetModeRequest{SessionId: s.id, Mode: mode, LayerIds: layerIDs}
	answer, err := call(ctx, s.client, safe, request, s.client.stub.SetMode)
	return answer.GetLayerIds(), err
}

// Train sets every layer to train.
func (s *Session) Train(ctx context.Context) error {
	_, err := s.SetMode(ctx, pb.Mode_MODE_TRAIN)
	return err
}

// Eval sets every layer to eval.
func (s *Session) Eval(ctx context.Context) error {
	_, err := s.SetMode(ctx, pb.Mode_MODE_EVAL)
	return err
}

// ReleaseSteps forgets steps up to and including throughStep, of all layers if layerID is empty. It
// returns how many records there were.
func (s *Session) ReleaseSteps(
	ctx context.Context, layerID string, throughStep uint64,
) (uint64, error) {
	request := &pb.ReleaseStepsRequest{
		SessionId: s.id, LayerId: layerID, ThroughStep: &throughStep}
	answer, err := call(ctx, s.client, safe, request, s.client.stub.ReleaseSteps)
	return answer.GetReleasedCount(), err
}
