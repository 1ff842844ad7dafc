package dropout_test

// The client against the server at DROPOUT_TEST_ADDRESS: what its user sees.

import (
	"context"
	"errors"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"dropoutd/dropout"
	pb "dropoutd/dropoutpb"
)

func dial(t *testing.T, opts ...dropout.Option) *dropout.Client {
	t.Helper()
	client, err := dropout.Dial(os.Getenv("DROPOUT_TEST_ADDRESS"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// must is the value of a call that succeeds.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func hiddenLayer(t *testing.T) (*dropout.Session, *dropout.Layer) {
	t.Helper()
	ctx := context.Background()
	session := must(dial(t).CreateSession(ctx, dropout.SessionOptions{Seed: dropout.Seed(1)}))
	t.Cleanup(func() { session.Delete(ctx) })
	return session, must(session.CreateLayer(ctx, dropout.Bernoulli("hidden", 0.5)))
}

func ones[T dropout.Float](count int) []T {
	elements := make([]T, count)
	for i := range elements {
		elements[i] = 1
	}
	return elements
}

func checkType[T dropout.Float](t *testing.T) {
	ctx := context.Background()
	_, hidden := hiddenLayer(t)
	x := dropout.NewTensor(ones[T](32), 4, 8)
	forward := must(hidden.Forward(ctx, x, dropout.AtStep(0), dropout.WithMask()))
	want := make([]T, 32)
	for i := range want {
		if dropout.Kept(forward.Mask, i) {
			want[i] = 2
		}
	}
	if got := must(dropout.Elements[T](forward.Output)); !reflect.DeepEqual(got, want) {
		t.Errorf("forward: %v, not %v", got, want)
	}
	backward := must(hidden.Backward(ctx, x, dropout.AtStep(0)))
	if got := must(dropout.Elements[T](backward.InputGradient)); !reflect.DeepEqual(got, want) {
		t.Errorf("backward: %v, not %v", got, want)
	}
	mask := must(hidden.Mask(ctx, dropout.AtStep(0), 4, 8))
	if !reflect.DeepEqual(mask.GetBits(), forward.Mask.GetBits()) {
		t.Error("the masks differ")
	}
}

func TestForwardBackwardAndMaskAgree(t *testing.T) {
	checkType[float32](t)
	checkType[float64](t)
}

func TestElementsOfAnotherType(t *testing.T) {
	if _, err := dropout.Elements[float64](dropout.NewTensor([]float32{1}, 1)); err == nil {
		t.Error("no error")
	}
}

func TestRowsOfABatch(t *testing.T) {
	ctx := context.Background()
	_, hidden := hiddenLayer(t)
	forward := func(rows int, at dropout.Place) []float32 {
		x := dropout.NewTensor(ones[float32](5*rows), int64(rows), 5)
		return must(dropout.Elements[float32](must(hidden.Forward(ctx, x, at)).Output))
	}
	whole, part := forward(8, dropout.AtStep(1)), forward(5, dropout.AtStep(1).From(3))
	if !reflect.DeepEqual(part, whole[15:]) {
		t.Errorf("%v, not %v", part, whole[15:])
	}
}

func TestLargerThanGrpcsDefaultLimit(t *testing.T) {
	_, hidden := hiddenLayer(t)
	x := dropout.NewTensor(ones[float32](1024*2048), 1024, 2048)
	answer := must(hidden.Forward(context.Background(), x, dropout.AtStep(0)))
	if len(answer.Output.GetData()) != len(x.GetData()) {
		t.Error("the answer is shorter")
	}
}

func TestModesAndErrors(t *testing.T) {
	ctx := context.Background()
	session, hidden := hiddenLayer(t)
	if err := session.Eval(ctx); err != nil {
		t.Fatal(err)
	}
	x := dropout.NewTensor(ones[float32](16), 16)
	answer := must(hidden.Forward(ctx, x, dropout.Place{}))
	if !reflect.DeepEqual(answer.Output.GetData(), x.GetData()) || answer.Mode != pb.Mode_MODE_EVAL {
		t.Error("not passed through")
	}
	if err := hidden.Train(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := hidden.Forward(ctx, x, dropout.Place{})
	var failure *dropout.Error
	if !errors.As(err, &failure) || failure.Code != codes.InvalidArgument ||
		dropout.ReasonOf(err) != "STEP_REQUIRED" || status.Code(err) != codes.InvalidArgument {
		t.Errorf("%v", err)
	}
	if dropout.ReasonOf(errors.New("other")) != "" || dropout.ReasonOf(nil) != "" {
		t.Error("a reason from nowhere")
	}
}

func TestSessions(t *testing.T) {
	ctx := context.Background()
	client := dial(t)
	options := dropout.SessionOptions{ID: "go-test", Seed: dropout.Seed(1<<64 - 1),
		TTL: 90 * time.Second, Layers: []*pb.Layer{dropout.Bernoulli("a", 0.25, 1)}}
	session := must(client.CreateSession(ctx, options))
	if session.Seed() != 1<<64-1 || must(client.CreateSession(ctx, options)).ID() != "go-test" {
		t.Error("not the session")
	}
	info := must(session.Info(ctx))
	if info.Ttl.AsDuration() != options.TTL || info.Layers[0].GetDropout().BroadcastAxes[0] != 1 {
		t.Errorf("%v", info)
	}
	options.Seed = nil
	if _, err := client.CreateSession(ctx, options); dropout.ReasonOf(err) != "SESSION_EXISTS" {
		t.Errorf("%v", err)
	}
	found := 0
	err := client.Sessions(ctx, 1, func(one *pb.Session) bool {
		if one.SessionId == "go-test" {
			found++
		}
		return true
	})
	if err != nil || found != 1 {
		t.Errorf("listed %d times, %v", found, err)
	}
	if err := session.Delete(ctx); err != nil {
		t.Error(err)
	}
	if _, err := client.Session(ctx, "go-test"); dropout.ReasonOf(err) != "SESSION_NOT_FOUND" {
		t.Errorf("%v", err)
	}
}

func TestALayerNeedsPOrASchedule(t *testing.T) {
	ctx := context.Background()
	session, _ := hiddenLayer(t)
	none := &pb.Layer{LayerId: "new", Variant: &pb.Layer_Gaussian{Gaussian: &pb.Gaussian{}}}
	if _, err := session.CreateLayer(ctx, none); !errors.Is(err, dropout.ErrNoP) {
		t.Errorf("CreateLayer: %v", err)
	}
	if _, err := session.UpdateLayer(ctx, none); !errors.Is(err, dropout.ErrNoP) {
		t.Errorf("UpdateLayer: %v", err)
	}
	options := dropout.SessionOptions{Layers: []*pb.Layer{dropout.Bernoulli("given", 0), none}}
	_, err := dial(t).CreateSession(ctx, options)
	if !errors.Is(err, dropout.ErrNoP) || !strings.HasPrefix(err.Error(), "Layers[1]: ") {
		t.Errorf("CreateSession: %v", err)
	}
	must(session.CreateLayer(ctx, dropout.Bernoulli("zero", 0)))
	learns := &pb.Layer{LayerId: "learns", Variant: &pb.Layer_Concrete{Concrete: &pb.Concrete{}}}
	must(session.CreateLayer(ctx, learns))
	if learns.P != 0 {
		t.Error("the caller's layer is changed")
	}
	none.P = dropout.ZeroP
	must(session.CreateLayer(ctx, none))
	if !math.Signbit(none.P) {
		t.Error("the caller's layer is changed")
	}
	scheduled := &pb.Layer{LayerId: "scheduled", Variant: none.Variant, Schedule: &pb.Schedule{
		Kind: &pb.Schedule_Curriculum{Curriculum: &pb.CurriculumSchedule{EndP: 0.5, Gamma: 0.01}}}}
	must(session.CreateLayer(ctx, scheduled))
	// What a server sent is a layer, with its P.
	for _, layer := range must(session.Info(ctx)).Layers {
		if layer.LayerId == "zero" && math.Signbit(layer.P) {
			t.Error("the server has a negative zero")
		}
		if layer.LayerId == "learns" && layer.P != 0.1 {
			t.Errorf("concrete starts at %v", layer.P)
		}
		must(session.UpdateLayer(ctx, layer))
	}
}

func TestWrongOptions(t *testing.T) {
	if _, err := dropout.Dial(""); err == nil {
		t.Error("no error for an empty address")
	}
	if _, err := dropout.Dial("x:1", dropout.WithRetry(dropout.RetryPolicy{})); err == nil {
		t.Error("no error for no attempts")
	}
}
