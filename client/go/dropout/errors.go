package dropout

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Error is a call that failed.
type Error struct {
	Code    codes.Code
	Reason  string // As "SESSION_NOT_FOUND" (docs/api.md lists them); "" where the server gave none.
	Message string
}

func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("%v: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s", e.Reason, e.Message)
}

// gaveUp is the error, which says why a call was repeated, with how often and how long it was tried.
func (e *Error) gaveUp(sent int, start time.Time) *Error {
	tried := fmt.Sprintf(" (tried %d times in %.1f s)", sent, time.Since(start).Seconds())
	return &Error{e.Code, e.Reason, e.Message + tried}
}

// GRPCStatus makes status.FromError work on an Error.
func (e *Error) GRPCStatus() *status.Status { return status.New(e.Code, e.Message) }

// ReasonOf is the server's reason for an error, or "" where it gave none.
func ReasonOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

func errorOf(err error, trailer metadata.MD) *Error {
	s := status.Convert(err)
	e := &Error{Code: s.Code(), Message: s.Message()}
	if reasons := trailer.Get("dropout-error-reason"); len(reasons) > 0 {
		e.Reason = reasons[0]
	}
	return e
}
