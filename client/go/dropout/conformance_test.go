package dropout_test

// The conformance suite (tests/conformance) against the server at DROPOUT_TEST_ADDRESS.

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"dropoutd/dropout"
	pb "dropoutd/dropoutpb"
)

type conformanceCase struct {
	Name  string
	Needs struct{ Variants, Schedules, RPCs []string }
	// In protobuf's JSON form.
	Session object
	Calls   []conformanceCall
}

type conformanceCall struct {
	RPC      string
	Request  object
	Response object
	Error    object
}

func loadCases(t *testing.T) []conformanceCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(os.Getenv("DROPOUT_CONFORMANCE_DIR"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []conformanceCase
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var content struct{ Cases []conformanceCase }
		if err := json.Unmarshal(text, &content); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, content.Cases...)
	}
	return all
}

func (c *conformanceCase) isMissing(info *pb.ServerInfo) bool {
	return !containsAll(info.Variants, c.Needs.Variants) ||
		!containsAll(info.Schedules, c.Needs.Schedules) ||
		containsAny(info.UnsupportedRpcs, c.Needs.RPCs)
}

func containsAll(names, wanted []string) bool {
	for _, name := range wanted {
		if !containsAny(names, []string{name}) {
			return false
		}
	}
	return true
}

func containsAny(names, wanted []string) bool {
	for _, name := range names {
		for _, one := range wanted {
			if name == one {
				return true
			}
		}
	}
	return false
}

// driver makes the cases' calls through the client.
type driver struct {
	client  *dropout.Client
	session *dropout.Session
}

// parse reads a request in protobuf's JSON form.
func parse[M proto.Message](request object, message M) M {
	text, err := json.Marshal(request)
	if err == nil {
		err = protojson.Unmarshal(text, message)
	}
	if err != nil {
		panic(err)
	}
	return message
}

// meant marks a P of 0 that the case gives, which a pb.Layer alone cannot tell from none.
func meant(layer *pb.Layer, given any) *pb.Layer {
	if _, hasP := given.(object)["p"]; hasP && layer.P == 0 {
		layer.P = dropout.ZeroP
	}
	return layer
}

func placeOf(step, sequenceID *uint64, sampleOffset int64) dropout.Place {
	return dropout.Place{Step: step, SampleOffset: sampleOffset, SequenceID: sequenceID}
}

func (d *driver) call(ctx context.Context, rpc string, request object) (proto.Message, error) {
	switch rpc {
	case "CreateSession":
		r := parse(request, &pb.CreateSessionRequest{})
		for i, layer := range r.Layers {
			meant(layer, request["layers"].([]any)[i])
		}
		session, err := d.client.CreateSession(ctx, dropout.SessionOptions{ID: r.SessionId,
			Seed: r.Seed, Layers: r.Layers, Mode: r.Mode, TTL: r.Ttl.AsDuration()})
		if err != nil {
			return nil, err
		}
		d.session = session
		return session.Info(ctx)
	case "GetSession":
		return d.session.Info(ctx)
	case "DeleteSession":
		return nil, d.client.DeleteSession(ctx, request["session_id"].(string))
	case "CreateLayer":
		layer := meant(parse(request, &pb.CreateLayerRequest{}).Layer, request["layer"])
		if _, err := d.session.CreateLayer(ctx, layer); err != nil {
			return nil, err
		}
		info, err := d.session.Info(ctx)
		for _, one := range info.GetLayers() {
			if one.LayerId == layer.LayerId {
				return one, nil
			}
		}
		return nil, err
	case "UpdateLayer":
		return d.session.UpdateLayer(
			ctx, meant(parse(request, &pb.UpdateLayerRequest{}).Layer, request["layer"]))
	case "DeleteLayer":
		return nil, d.session.DeleteLayer(ctx, request["layer_id"].(string))
	case "SetMode":
		r := parse(request, &pb.SetModeRequest{})
		ids, err := d.session.SetMode(ctx, r.Mode, r.LayerIds...)
		return &pb.SetModeResponse{LayerIds: ids, Mode: r.Mode}, err
	case "ReleaseSteps":
		r := parse(request, &pb.ReleaseStepsRequest{})
		count, err := d.session.ReleaseSteps(ctx, r.LayerId, r.GetThroughStep())
		return &pb.ReleaseStepsResponse{ReleasedCount: count}, err
	}
	return d.layerCall(ctx, rpc, request)
}

func (d *driver) layerCall(
	ctx context.Context, rpc string, request object,
) (proto.Message, error) {
	layer := d.session.Layer(request["layer_id"].(string))
	switch rpc {
	case "Forward":
		r := parse(request, &pb.ForwardRequest{})
		var opts []dropout.ForwardOption
		if r.ReturnMask {
			opts = append(opts, dropout.WithMask())
		}
		return layer.Forward(ctx, r.Input, placeOf(r.Step, r.SequenceId, r.SampleOffset), opts...)
	case "Backward":
		r := parse(request, &pb.BackwardRequest{})
		var opts []dropout.BackwardOption
		if r.Release {
			opts = append(opts, dropout.Release())
		}
		if r.WeightSquaredNorm != nil {
			opts = append(opts, dropout.WithWeightSquaredNorm(*r.WeightSquaredNorm))
		}
		place := placeOf(r.Step, r.SequenceId, r.SampleOffset)
		return layer.Backward(ctx, r.OutputGradient, place, opts...)
	case "GetMask":
		r := parse(request, &pb.GetMaskRequest{})
		return layer.Mask(ctx, placeOf(r.Step, r.SequenceId, r.SampleOffset), r.Shape...)
	case "SetParameters":
		r := parse(request, &pb.SetParametersRequest{})
		return nil, layer.SetParameters(ctx, r.Parameters...)
	case "GetParameters":
		parameters, err := layer.Parameters(ctx)
		return &pb.GetParametersResponse{Parameters: parameters}, err
	}
	return nil, fmt.Errorf("no call %s", rpc)
}

// run makes a case's calls and returns what went wrong, or "".
func (d *driver) run(ctx context.Context, c *conformanceCase, sessionID string) string {
	defer d.client.DeleteSession(ctx, sessionID) // it may be gone
	c.Session["session_id"] = sessionID
	if _, err := d.call(ctx, "CreateSession", c.Session); err != nil {
		return err.Error()
	}
	for number, call := range c.Calls {
		request := expanded(call.Request)
		request["session_id"] = sessionID
		answer, err := d.call(ctx, call.RPC, request)
		if found := outcomeDifference(&call, answer, err); found != "" {
			return fmt.Sprintf("call %d, %s: %s", number, call.RPC, found)
		}
	}
	return ""
}

func outcomeDifference(call *conformanceCall, answer proto.Message, err error) string {
	if err != nil {
		if call.Error == nil {
			return err.Error()
		}
		return difference(call.Error, errorObject(err), "error")
	}
	if call.Error != nil {
		return fmt.Sprintf("succeeded, not %v", call.Error)
	}
	if call.Response == nil {
		return ""
	}
	return difference(call.Response, messageObject(answer), "response")
}

func TestConformance(t *testing.T) {
	ctx := context.Background()
	client := dial(t)
	info, err := client.ServerInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cases := loadCases(t)
	if len(cases) < 90 {
		t.Fatalf("%d cases", len(cases))
	}
	ran := 0
	for number := range cases {
		one := &cases[number]
		if one.isMissing(info) {
			continue
		}
		ran++
		d := driver{client: client}
		if found := d.run(ctx, one, fmt.Sprintf("conformance-go-%d", number)); found != "" {
			t.Errorf("%s: %s", one.Name, found)
		}
	}
	t.Logf("%d of %d cases", ran, len(cases))
}
