package dropout

import (
	"context"
	"errors"
	"math"
	"math/rand"
	"time"

	"google.golang.org/grpc/codes"
)

// RetryPolicy limits one call.
type RetryPolicy struct {
	// Time that one call may take, retries and pauses included: how long a server may be away. A
	// context's earlier deadline wins. 0: no limit.
	Timeout time.Duration
	// How often a call that is safe to repeat is sent at most; 1: no retries.
	MaxAttempts int
	// Pause before the second attempt; it doubles up to MaxBackoff. Each pause is shortened by a
	// random share of up to a half.
	InitialBackoff, MaxBackoff time.Duration
}

// DefaultRetry is the policy of a Client without WithRetry: calls are repeated until the timeout.
var DefaultRetry = RetryPolicy{Timeout: time.Minute, MaxAttempts: math.MaxInt,
	InitialBackoff: 50 * time.Millisecond, MaxBackoff: 2 * time.Second}

func (p RetryPolicy) validate() error {
	if p.Timeout < 0 || p.MaxAttempts < 1 || p.InitialBackoff < 0 || p.MaxBackoff < 0 {
		return errors.New("dropout: durations must be 0 or more and MaxAttempts 1 or more")
	}
	return nil
}

type idempotency int

const (
	safe     idempotency = iota
	deletion             // Sent again: NOT_FOUND then means done.
	unsafe               // Never sent again.
)

// run makes attempts until one succeeds or the failure is final. The first fails at once where there
// is no connection, later ones wait for it.
func (p RetryPolicy) run(
	ctx context.Context, idempotency idempotency,
	attempt func(ctx context.Context, waitForReady bool) error,
) error {
	start, caller := time.Now(), ctx
	if p.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.Timeout)
		defer cancel()
	}
	backoff := p.InitialBackoff
	var before *Error // The failure of the attempt before.
	for sent := 1; ; sent++ {
		err := attempt(ctx, sent > 1)
		var failure *Error
		if !errors.As(err, &failure) {
			return err // nil
		}
		if sent > 1 && idempotency == deletion && failure.Code == codes.NotFound {
			return nil
		}
		if before != nil && failure.Code == codes.DeadlineExceeded {
			if caller.Err() != nil {
				before.Code = failure.Code // as callers expect whose own time is over
			}
			return before.gaveUp(sent, start)
		}
		// Canceled too: a server that shuts down answers it to calls that it has not begun.
		wentAway := failure.Code == codes.Unavailable ||
			failure.Code == codes.Canceled && ctx.Err() == nil
		if !wentAway || idempotency == unsafe || sent == p.MaxAttempts {
			return err
		}
		before = failure
		if backoff > p.MaxBackoff {
			backoff = p.MaxBackoff
		}
		pause := time.Duration(float64(backoff) * (0.5 + 0.5*rand.Float64()))
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
			if sent > 1 {
				return failure.gaveUp(sent, start)
			}
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
		backoff *= 2
	}
}
