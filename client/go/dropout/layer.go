package dropout

import (
	"context"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	pb "dropoutd/dropoutpb"
)

// ZeroP is a P of 0 that is given: the negative zero, which a pb.Layer can tell from no P at all.
// The server gets 0.
var ZeroP = math.Copysign(0, -1)

// firstLearnedP is where concrete starts if no P is given: at 0 nothing is dropped, so nothing
// would be learned.
const firstLearnedP = 0.1

// ErrNoP is the error of a new layer with neither a P nor a Schedule, which would drop nothing.
var ErrNoP = errors.New("P is not given")

// Bernoulli is a layer of the variant dropout. Other variants are a pb.Layer with another Variant;
// it needs a P, ZeroP where it is 0, or a Schedule.
func Bernoulli(id string, p float64, broadcastAxes ...int32) *pb.Layer {
	if p == 0 {
		p = ZeroP
	}
	return &pb.Layer{LayerId: id, P: p, Variant: &pb.Layer_Dropout{
		Dropout: &pb.Dropout{BroadcastAxes: broadcastAxes}}}
}

// withP is the layer as it is sent, or ErrNoP. A layer with a revision came from the server, where
// a P of 0 is one.
func withP(layer *pb.Layer) (*pb.Layer, error) {
	if layer.GetP() != 0 || layer == nil {
		return layer, nil
	}
	if math.Signbit(layer.P) {
		layer = proto.Clone(layer).(*pb.Layer)
		layer.P = 0
		return layer, nil
	}
	if layer.Schedule == nil && layer.GetConcrete() != nil && layer.Revision == 0 {
		layer = proto.Clone(layer).(*pb.Layer)
		layer.P = firstLearnedP
		return layer, nil
	}
	if layer.Schedule == nil && layer.Revision == 0 {
		return nil, fmt.Errorf(
			"layer %q: %w: set it to the probability that an element is dropped, in [0, 1), which is"+
				" dropout.ZeroP for 0, or give a Schedule", layer.LayerId, ErrNoP)
	}
	return layer, nil
}

// Place says which mask: the training step, the batch's first row, the sequence.
type Place struct {
	Step         *uint64 // Required in train.
	SampleOffset int64   // Index in the whole batch of the tensor's first row.
	SequenceID   *uint64 // Of layers whose mask a sequence shares.
}

// AtStep is the place of a whole batch at a step.
func AtStep(step uint64) Place { return Place{Step: &step} }

// From is the place of a part of the batch, from this row on.
func (p Place) From(row int64) Place {
	p.SampleOffset = row
	return p
}

// InSequence is the place in this sequence.
func (p Place) InSequence(id uint64) Place {
	p.SequenceID = &id
	return p
}

// Layer is a layer of a session.
type Layer struct {
	session *Session
	id      string
}

// ID is the layer's id in its session.
func (l *Layer) ID() string { return l.id }

// ForwardOption changes a Forward.
type ForwardOption func(*pb.ForwardRequest)

// WithMask asks for the mask too.
func WithMask() ForwardOption { return func(r *pb.ForwardRequest) { r.ReturnMask = true } }

// Forward masks the input in train and remembers the mask under the step; in eval it passes the
// input through, and Place{} will do.
func (l *Layer) Forward(
	ctx context.Context, input *pb.Tensor, at Place, opts ...ForwardOption,
) (*pb.ForwardResponse, error) {
	request := &pb.ForwardRequest{SessionId: l.session.id, LayerId: l.id, Input: input,
		Step: at.Step, SampleOffset: at.SampleOffset, SequenceId: at.SequenceID}
	for _, opt := range opts {
		opt(request)
	}
	client := l.session.client
	return call(ctx, client, safe, request, client.stub.Forward)
}

// BackwardOption changes a Backward.
type BackwardOption func(*pb.BackwardRequest)

// Release forgets the step afterwards. Such a call is not repeated.
func Release() BackwardOption { return func(r *pb.BackwardRequest) { r.Release = true } }

// WithWeightSquaredNorm gives the norm for concrete's weight regulariser.
func WithWeightSquaredNorm(norm float64) BackwardOption {
	return func(r *pb.BackwardRequest) { r.WeightSquaredNorm = &norm }
}

// Backward applies the step's mask to the gradient with respect to the output.
func (l *Layer) Backward(
	ctx context.Context, outputGradient *pb.Tensor, at Place, opts ...BackwardOption,
) (*pb.BackwardResponse, error) {
	request := &pb.BackwardRequest{SessionId: l.session.id, LayerId: l.id,
		OutputGradient: outputGradient,
		Step:           at.Step, SampleOffset: at.SampleOffset, SequenceId: at.SequenceID}
	for _, opt := range opts {
		opt(request)
	}
	repeatable := safe
	if request.Release {
		// The first attempt may have released the step, and the second would not find it.
		repeatable = unsafe
	}
	client := l.session.client
	return call(ctx, client, repeatable, request, client.stub.Backward)
}

// Mask is the mask that Forward and Backward apply. Without a shape: that of the step's Forward.
func (l *Layer) Mask(ctx context.Context, at Place, shape ...int64) (*pb.Mask, error) {
	request := &pb.GetMaskRequest{SessionId: l.session.id, LayerId: l.id, Shape: shape,
		Step: at.Step, SampleOffset: at.SampleOffset, SequenceId: at.SequenceID}
	client := l.session.client
	return call(ctx, client, safe, request, client.stub.GetMask)
}

// Train sets the layer to train.
func (l *Layer) Train(ctx context.Context) error {
	_, err := l.session.SetMode(ctx, pb.Mode_MODE_TRAIN, l.id)
	return err
}

// Eval sets the layer to eval.
func (l *Layer) Eval(ctx context.Context) error {
	_, err := l.session.SetMode(ctx, pb.Mode_MODE_EVAL, l.id)
	return err
}

// SetParameters sets what the server holds for the layer, as drop_connect's weight and bias.
func (l *Layer) SetParameters(ctx context.Context, parameters ...*pb.Parameter) error {
	request := &pb.SetParametersRequest{
		SessionId: l.session.id, LayerId: l.id, Parameters: parameters}
	client := l.session.client
	_, err := call(ctx, client, safe, request, client.stub.SetParameters)
	return err
}

// Parameters is what the server holds for the layer.
func (l *Layer) Parameters(ctx context.Context) ([]*pb.Parameter, error) {
	request := &pb.GetParametersRequest{SessionId: l.session.id, LayerId: l.id}
	client := l.session.client
	answer, err := call(ctx, client, safe, request, client.stub.GetParameters)
	return answer.GetParameters(), err
}
