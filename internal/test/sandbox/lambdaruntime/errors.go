package lambdaruntime

import (
	"encoding/json"
	"fmt"
)

// errorTypeTimeout is Lambda's error type of an invocation that missed its deadline.
const errorTypeTimeout = "Sandbox.Timedout"

// FunctionError says that the function failed: it returned an error, or Lambda
// ended it. The types that Lambda itself gives are Sandbox.Timedout,
// Runtime.ExitError and Runtime.InvalidEntrypoint.
type FunctionError struct {
	ErrorType string
	Message   string
	// Payload is the body of the answer that a client of Lambda gets, next to
	// FunctionError "Unhandled". Usually a JSON object with errorType,
	// errorMessage and, after a panic, stackTrace.
	Payload []byte
}

func (e *FunctionError) Error() string {
	return fmt.Sprintf("function failed: %s: %s", e.ErrorType, e.Message)
}

// errorBody is an error as runtimes report it and Lambda passes it on
// (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).
type errorBody struct {
	ErrorType    string `json:"errorType"`
	ErrorMessage string `json:"errorMessage"`
}

// platformError is a failure in Lambda's own words.
func platformError(requestID, errorType, text string) *FunctionError {
	message := fmt.Sprintf("RequestId: %s Error: %s", requestID, text)
	payload, err := json.Marshal(errorBody{ErrorType: errorType, ErrorMessage: message})
	if err != nil {
		panic(err) // two strings always marshal
	}
	return &FunctionError{ErrorType: errorType, Message: message, Payload: payload}
}

// reportedError is a failure that the runtime reported. The header's error type
// counts where the body has none.
func reportedError(headerType string, payload []byte) *FunctionError {
	var body errorBody
	if err := json.Unmarshal(payload, &body); err != nil {
		body = errorBody{ErrorMessage: string(payload)}
	}
	if body.ErrorType == "" {
		body.ErrorType = headerType
	}
	return &FunctionError{ErrorType: body.ErrorType, Message: body.ErrorMessage, Payload: payload}
}
