package secretsmanager

import (
	"context"
	"errors"
	"slices"
	"strconv"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
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

// speakingCodes are the errors whose messages tell an operator what to mend.
// InvalidSignatureException is not one of them: its message quotes the signed
// headers, and with them the session token of the function's role.
var speakingCodes = []string{
	"AccessDeniedException",
	"DecryptionFailure",
	"EncryptionFailure",
	"ExpiredTokenException",
	"InvalidRequestException",
	"ResourceExistsException",
	"ResourceNotFoundException",
	"UnrecognizedClientException",
}

// classify rebuilds an error of the SDK from its parts. It returns nil for nil.
func classify(operation string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Operation: operation}
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	answered := ok && response.HTTPStatusCode() != 0
	if answered {
		e.RequestID = response.ServiceRequestID()
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
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
		e.Message = "no answer; check the network path to Secrets Manager"
	}
	return e
}
