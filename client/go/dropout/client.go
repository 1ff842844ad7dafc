// Package dropout is the client of dropoutd, a server that holds dropout layers.
//
//	client, err := dropout.Dial("127.0.0.1:50051")
//	session, err := client.CreateSession(ctx, dropout.SessionOptions{Seed: dropout.Seed(1)})
//	hidden, err := session.CreateLayer(ctx, dropout.Bernoulli("hidden", 0.5))
//	result, err := hidden.Forward(ctx, dropout.NewTensor(x, 4, 8), dropout.AtStep(0))
//
// Layers, tensors and answers are the contract's messages (package dropoutpb). Errors of calls are
// *Error; calls that are safe to repeat are repeated when the server went away, until the context's
// deadline or the client's timeout. All types may be used from several goroutines at once.
package dropout

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "dropoutd/dropoutpb"
)

// Client is a connection to a server.
type Client struct {
	connection *grpc.ClientConn
	stub       pb.DropoutServiceClient
	options    options
}

// Option changes how a Client works.
type Option func(*options)

type options struct {
	tls   *tls.Config
	token string
	retry RetryPolicy
}

// WithTLS encrypts the connection; the default is plain text.
func WithTLS(config *tls.Config) Option { return func(o *options) { o.tls = config } }

// WithToken sends "authorization: Bearer TOKEN" with every call.
func WithToken(token string) Option { return func(o *options) { o.token = token } }

// WithRetry replaces DefaultRetry.
func WithRetry(policy RetryPolicy) Option { return func(o *options) { o.retry = policy } }

// Dial makes a client for HOST:PORT or unix:/path. It does not wait for the connection: the first
// call does.
func Dial(address string, opts ...Option) (*Client, error) {
	if address == "" {
		return nil, errors.New("dropout: address is empty")
	}
	o := options{retry: DefaultRetry}
	for _, opt := range opts {
		opt(&o)
	}
	if err := o.retry.validate(); err != nil {
		return nil, err
	}
	security := grpc.WithInsecure()
	if o.tls != nil {
		security = grpc.WithTransportCredentials(credentials.NewTLS(o.tls))
	}
	connection, err := grpc.Dial(address, security,
		// gRPC's own default, 4 MiB, is smaller than what a server with default flags sends.
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32),
			grpc.MaxCallSendMsgSize(math.MaxInt32)),
		// A server that is back is found within about a second.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6,
				Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 5 * time.Second}))
	if err != nil {
		return nil, err
	}
	return &Client{connection, pb.NewDropoutServiceClient(connection), o}, nil
}

// Close ends the connection. Sessions stay until they expire.
func (c *Client) Close() error { return c.connection.Close() }

// SessionOptions is what a new session is made from.
type SessionOptions struct {
	ID     string  // Empty: one is picked. With an id, an equal session is shared.
	Seed   *uint64 // nil: the server draws one.
	Layers []*pb.Layer
	Mode   pb.Mode       // Unspecified: train.
	TTL    time.Duration // 0: the server's default.
}

// Seed is a seed for SessionOptions.
func Seed(seed uint64) *uint64 { return &seed }

// CreateSession makes a session, or returns the one that exists with the same contents. ErrNoP for a
// layer with neither a P nor a Schedule.
func (c *Client) CreateSession(ctx context.Context, o SessionOptions) (*Session, error) {
	request := &pb.CreateSessionRequest{SessionId: o.ID, Seed: o.Seed, Mode: o.Mode}
	for i, layer := range o.Layers {
		layer, err := withP(layer)
		if err != nil {
			return nil, fmt.Errorf("Layers[%d]: %w", i, err)
		}
		request.Layers = append(request.Layers, layer)
	}
	if o.TTL != 0 {
		request.Ttl = durationpb.New(o.TTL)
	}
	if request.SessionId == "" {
		id, err := newSessionID() // without one, a repetition would make a second session
		if err != nil {
			return nil, err
		}
		request.SessionId = id
	}
	answer, err := call(ctx, c, safe, request, c.stub.CreateSession)
	if err != nil {
		return nil, err
	}
	return &Session{client: c, id: answer.SessionId, seed: answer.Seed}, nil
}

// Session returns a session that exists.
func (c *Client) Session(ctx context.Context, id string) (*Session, error) {
	answer, err := call(ctx, c, safe, &pb.GetSessionRequest{SessionId: id}, c.stub.GetSession)
	if err != nil {
		return nil, err
	}
	return &Session{client: c, id: answer.SessionId, seed: answer.Seed}, nil
}

// Sessions calls visit with each session, sorted by their ids, page after page, until it returns
// false. Sessions that cannot be read are left out. pageSize 0: the server's default.
func (c *Client) Sessions(ctx context.Context, pageSize int32, visit func(*pb.Session) bool) error {
	return c.pages(ctx, pageSize, func(page *pb.ListSessionsResponse) bool {
		for _, session := range page.Sessions {
			if !visit(session) {
				return false
			}
		}
		return true
	})
}

// CorruptSessionIDs returns the ids of sessions that are there and cannot be read; Session says why.
func (c *Client) CorruptSessionIDs(ctx context.Context) ([]string, error) {
	var ids []string
	err := c.pages(ctx, 0, func(page *pb.ListSessionsResponse) bool {
		ids = append(ids, page.CorruptSessionIds...)
		return true
	})
	return ids, err
}

// pages calls visit with each page of sessions until it returns false.
func (c *Client) pages(ctx context.Context, pageSize int32,
	visit func(*pb.ListSessionsResponse) bool) error {
	request := &pb.ListSessionsRequest{PageSize: pageSize}
	for {
		page, err := call(ctx, c, safe, request, c.stub.ListSessions)
		if err != nil {
			return err
		}
		if !visit(page) || page.NextPageToken == "" {
			return nil
		}
		request.PageToken = page.NextPageToken
	}
}

// DeleteSession deletes a session by its id.
func (c *Client) DeleteSession(ctx context.Context, id string) error {
	_, err := call(ctx, c, deletion, &pb.DeleteSessionRequest{SessionId: id}, c.stub.DeleteSession)
	return err
}

// ServerInfo tells what the server is and can do.
func (c *Client) ServerInfo(ctx context.Context) (*pb.ServerInfo, error) {
	return call(ctx, c, safe, &pb.GetServerInfoRequest{}, c.stub.GetServerInfo)
}

func newSessionID() (string, error) {
	var id [16]byte
	_, err := rand.Read(id[:])
	return hex.EncodeToString(id[:]), err
}

var validSessionID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// call sends a request, again where that is safe.
func call[Request, Response proto.Message](
	ctx context.Context, c *Client, idempotency idempotency, request Request,
	method func(context.Context, Request, ...grpc.CallOption) (Response, error),
) (Response, error) {
	// Only what the server would take: a header cannot have other bytes.
	named, ok := any(request).(interface{ GetSessionId() string })
	if ok && validSessionID.MatchString(named.GetSessionId()) {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-session-id", named.GetSessionId())
	}
	if c.options.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.options.token)
	}
	var response Response
	err := c.options.retry.run(ctx, idempotency, func(ctx context.Context, wait bool) error {
		var trailer metadata.MD
		answer, err := method(ctx, request, grpc.Trailer(&trailer), grpc.WaitForReady(wait))
		if err != nil {
			return errorOf(err, trailer)
		}
		response = answer
		return nil
	})
	return response, err
}
