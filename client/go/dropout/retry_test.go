package dropout_test

// When calls are sent again, against a server of this process that refuses.

import (
	"context"
	"net"
	"regexp"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"dropoutd/dropout"
	pb "dropoutd/dropoutpb"
)

type refusal struct {
	code   codes.Code
	reason string
}

var (
	draining  = refusal{codes.Unavailable, "DRAINING"}
	cancelled = refusal{codes.Canceled, ""}
	gone      = refusal{codes.NotFound, "SESSION_NOT_FOUND"}
	silence   = refusal{codes.OK, "never answers"}
	fine      = refusal{}
)

type seen struct {
	rpc       string
	sessionID string
	metadata  metadata.MD
}

// fakeServer answers each RPC as `outcomes` says in turn; the last one stays.
type fakeServer struct {
	pb.UnimplementedDropoutServiceServer
	outcomes map[string][]refusal
	calls    []seen
}

func (f *fakeServer) answer(ctx context.Context, rpc, sessionID string) error {
	md, _ := metadata.FromIncomingContext(ctx)
	f.calls = append(f.calls, seen{rpc, sessionID, md})
	left := f.outcomes[rpc]
	outcome := fine
	if len(left) > 0 {
		outcome = left[0]
	}
	if len(left) > 1 {
		f.outcomes[rpc] = left[1:]
	}
	if outcome == silence {
		// Not OK: the answer may yet win the race against the client's own clock.
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	}
	if outcome.code == codes.OK {
		return nil
	}
	grpc.SetTrailer(ctx, metadata.Pairs("dropout-error-reason", outcome.reason))
	return status.Error(outcome.code, "refused")
}

func (f *fakeServer) CreateSession(
	ctx context.Context, r *pb.CreateSessionRequest,
) (*pb.Session, error) {
	return &pb.Session{SessionId: r.SessionId}, f.answer(ctx, "CreateSession", r.SessionId)
}

func (f *fakeServer) GetSession(ctx context.Context, r *pb.GetSessionRequest) (*pb.Session, error) {
	return &pb.Session{SessionId: r.SessionId}, f.answer(ctx, "GetSession", r.SessionId)
}

func (f *fakeServer) DeleteSession(
	ctx context.Context, r *pb.DeleteSessionRequest,
) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, f.answer(ctx, "DeleteSession", r.SessionId)
}

func (f *fakeServer) Backward(
	ctx context.Context, r *pb.BackwardRequest,
) (*pb.BackwardResponse, error) {
	return &pb.BackwardResponse{}, f.answer(ctx, "Backward", r.SessionId)
}

// serve starts the server and returns a client of it.
func (f *fakeServer) serve(t *testing.T, opts ...dropout.Option) *dropout.Client {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	server := grpc.NewServer()
	pb.RegisterDropoutServiceServer(server, f)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	fast := dropout.DefaultRetry
	fast.InitialBackoff, fast.MaxBackoff = time.Millisecond, time.Millisecond
	client := must(dropout.Dial(listener.Addr().String(),
		append([]dropout.Option{dropout.WithRetry(fast)}, opts...)...))
	t.Cleanup(func() { client.Close() })
	return client
}

func TestSafeCallsAreRepeated(t *testing.T) {
	f := &fakeServer{outcomes: map[string][]refusal{"CreateSession": {draining, cancelled, fine}}}
	must(f.serve(t).CreateSession(context.Background(), dropout.SessionOptions{}))
	if len(f.calls) != 3 {
		t.Fatalf("%d calls", len(f.calls))
	}
	if id := f.calls[0].sessionID; len(id) != 32 || id != f.calls[2].sessionID {
		t.Errorf("ids %v", f.calls)
	}
}

func TestAttemptsAreLimited(t *testing.T) {
	f := &fakeServer{outcomes: map[string][]refusal{"GetSession": {draining}}}
	client := f.serve(t, dropout.WithRetry(dropout.RetryPolicy{MaxAttempts: 3}))
	_, err := client.Session(context.Background(), "s")
	if dropout.ReasonOf(err) != "DRAINING" || len(f.calls) != 3 {
		t.Errorf("%v after %d calls", err, len(f.calls))
	}
}

func TestTimeAloneEndsAttempts(t *testing.T) {
	outcomes := make([]refusal, 30)
	for i := range outcomes {
		outcomes[i] = draining
	}
	f := &fakeServer{outcomes: map[string][]refusal{"GetSession": append(outcomes, fine)}}
	must(f.serve(t).Session(context.Background(), "s"))
	if len(f.calls) != 31 {
		t.Errorf("%d calls", len(f.calls))
	}
}

func TestNobodyThere(t *testing.T) {
	brief := dropout.DefaultRetry
	brief.Timeout = 500 * time.Millisecond
	client := must(dropout.Dial("127.0.0.1:1", dropout.WithRetry(brief)))
	defer client.Close()
	_, err := client.ServerInfo(context.Background())
	if status.Code(err) != codes.Unavailable ||
		!regexp.MustCompile(`refused.* \(tried \d+ times in \d\.\d s\)`).MatchString(err.Error()) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if _, err := client.ServerInfo(ctx); status.Code(err) != codes.DeadlineExceeded &&
		status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestBackwardWithReleaseIsNotRepeated(t *testing.T) {
	ctx := context.Background()
	f := &fakeServer{outcomes: map[string][]refusal{"Backward": {draining, draining, fine}}}
	layer := must(f.serve(t).Session(ctx, "s")).Layer("l")
	gradient := dropout.NewTensor([]float32{1}, 1)
	_, err := layer.Backward(ctx, gradient, dropout.AtStep(0), dropout.Release())
	if dropout.ReasonOf(err) != "DRAINING" || len(f.calls) != 2 {
		t.Errorf("%v after %d calls", err, len(f.calls))
	}
	must(layer.Backward(ctx, gradient, dropout.AtStep(0)))
	if len(f.calls) != 4 {
		t.Errorf("%d calls", len(f.calls))
	}
}

func TestARepeatedDeletionThatFindsNothingIsDone(t *testing.T) {
	ctx := context.Background()
	f := &fakeServer{outcomes: map[string][]refusal{"DeleteSession": {draining, gone}}}
	client := f.serve(t)
	if err := client.DeleteSession(ctx, "s"); err != nil || len(f.calls) != 2 {
		t.Errorf("%v after %d calls", err, len(f.calls))
	}
	if err := client.DeleteSession(ctx, "s"); dropout.ReasonOf(err) != "SESSION_NOT_FOUND" {
		t.Errorf("%v", err)
	}
}

func TestDeadlines(t *testing.T) {
	f := &fakeServer{outcomes: map[string][]refusal{"GetSession": {silence}}}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := f.serve(t).Session(ctx, "s"); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v", err)
	}
	limited := dropout.RetryPolicy{Timeout: 100 * time.Millisecond, MaxAttempts: 1}
	client := f.serve(t, dropout.WithRetry(limited))
	_, err := client.Session(context.Background(), "s")
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v", err)
	}
}

func TestAContextThatIsCancelledEndsTheCall(t *testing.T) {
	f := &fakeServer{}
	client := f.serve(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := client.Session(ctx, "s"); status.Code(err) != codes.Canceled {
		t.Errorf("%v", err)
	}
}

func TestMetadata(t *testing.T) {
	ctx := context.Background()
	f := &fakeServer{}
	client := f.serve(t, dropout.WithToken("secret"))
	must(client.Session(ctx, "s"))
	must(client.Session(ctx, "a b"))
	if ids := f.calls[0].metadata.Get("x-session-id"); len(ids) != 1 || ids[0] != "s" {
		t.Errorf("%v", ids)
	}
	if ids := f.calls[1].metadata.Get("x-session-id"); len(ids) != 0 {
		t.Errorf("%v", ids)
	}
	if tokens := f.calls[0].metadata.Get("authorization"); tokens[0] != "Bearer secret" {
		t.Errorf("%v", tokens)
	}
}
