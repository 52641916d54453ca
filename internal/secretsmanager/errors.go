package secretsmanager

import (
	"context"
	"errors"
	"slices"
	"strconv"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"panther-token-rotation/internal/network"
	"panther-token-rotation/internal/rotation"
)

// Error is a call to Secrets Manager that failed. It holds what helps an
// operator and nothing that could quote a value.
type Error struct {
	Operation string
	// Code is AWS's error code, such as AccessDeniedException; empty if no
	// answer came, or none that can be read. Message then says so.
	Code string
	// Message is AWS's message where the code is one whose messages speak of
	// permissions, keys and state; other messages can quote the request.
	Message   string
	RequestID string
}

func (e *Error) Error() string {
	s := e.Operation + " failed"
	if e.Code != "" {
		s += ": " + e.Code
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.RequestID != "" {
		s += " (request id " + e.RequestID + ")"
	}
	return s
}

// Is makes a failure without an answer of Secrets Manager a [rotation.ErrNoAnswer].
func (e *Error) Is(target error) bool { return target == rotation.ErrNoAnswer && e.Code == "" }

// speakingCodes are the errors whose messages tell an operator what to mend.
// InvalidSignatureException is not one of them: its message quotes the signed
// headers, and with them the session token of the function's role.
var speakingCodes = []string{
	"AccessDeniedException",
	"DecryptionFailure",
	"EncryptionFailure",
	"ExpiredTokenException",
	"InvalidRequestException",
	"LimitExceededException",
	"ResourceExistsException",
	"ResourceNotFoundException",
	"UnrecognizedClientException",
}

// Classify rebuilds an error of the SDK from its parts, as [Store] does. It
// returns nil for nil.
func Classify(operation string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Operation: operation}
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	answered := ok && response.HTTPStatusCode() != 0
	if answered {
		e.RequestID = response.ServiceRequestID()
	}
	if api, ok := answerIn(err); ok {
		e.Code = api.ErrorCode()
		if slices.Contains(speakingCodes, e.Code) {
			e.Message = api.ErrorMessage()
		}
		return e
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e.Message = "no answer in time"
	case answered:
		e.Message = "HTTP status " + strconv.Itoa(response.HTTPStatusCode()) + " with an answer that cannot be read; check what answers at the endpoint"
	default:
		e.Message = network.Describe(err, "no answer")
		if e.Message == network.CertificateRejected {
			e.Message += "; if a proxy inspects TLS, set SSL_CERT_FILE to a bundle with its certificate"
		} else {
			e.Message += "; check the network path to Secrets Manager"
		}
	}
	return e
}

// answerIn returns the answer of Secrets Manager in an error. The SDK makes
// errors without a code from what others answer, such as proxies.
func answerIn(err error) (smithy.APIError, bool) {
	api, ok := errors.AsType[smithy.APIError](err)
	return api, ok && api.ErrorCode() != "UnknownError"
}

// lastAnswerKey is under what a call keeps the last error that Secrets Manager
// itself gave.
type lastAnswerKey struct{}

// reportLastAnswer makes a call that the SDK attempted several times fail with
// the last error of Secrets Manager, where the last attempt got no answer. "No
// answer in time" would hide the reason.
func reportLastAnswer(stack *middleware.Stack) error {
	call := middleware.InitializeMiddlewareFunc("ReportLastAnswer", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		var last error
		out, metadata, err := next.HandleInitialize(context.WithValue(ctx, lastAnswerKey{}, &last), in)
		if _, answered := answerIn(err); err != nil && !answered && last != nil {
			err = last
		}
		return out, metadata, err
	})
	attempt := middleware.FinalizeMiddlewareFunc("KeepLastAnswer", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleFinalize(ctx, in)
		if _, answered := answerIn(err); answered {
			*ctx.Value(lastAnswerKey{}).(*error) = err
		}
		return out, metadata, err
	})
	if err := stack.Initialize.Add(call, middleware.Before); err != nil {
		return err
	}
	return stack.Finalize.Insert(attempt, "Retry", middleware.After)
}
