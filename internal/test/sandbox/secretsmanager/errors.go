package secretsmanager

import (
	"fmt"
	"net/http"
	"strings"
)

// apiError is an answer of Secrets Manager that is an error: the type that SDKs
// distinguish, the message, the HTTP status.
type apiError struct {
	kind    string
	message string
	status  int
}

func clientError(kind, format string, args ...any) *apiError {
	return &apiError{kind, fmt.Sprintf(format, args...), http.StatusBadRequest}
}

func errSecretNotFound() *apiError {
	return clientError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

func errLabelNotFound(label string) *apiError {
	return clientError("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: %s", label)
}

func errVersionNotFound(id string) *apiError {
	return clientError("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s", id)
}

func errSecretExists(name string) *apiError {
	return clientError("ResourceExistsException", "The operation failed because the secret %s already exists.", name)
}

func errVersionTaken(id string) *apiError {
	return clientError("ResourceExistsException", "You can't use ClientRequestToken %s because that value is already in use for a version of secret.", id)
}

func errQuota() *apiError {
	return clientError("LimitExceededException", "The request failed because it would exceed one of the Secrets Manager quotas.")
}

func errNameOfDeleted() *apiError {
	return clientError("InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
}

func errDeleted() *apiError {
	return clientError("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
}

func errStageNotOnVersion() *apiError {
	return clientError("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
}

func errNoLambda() *apiError {
	return clientError("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
}

func errNothingToRotate() *apiError {
	return clientError("InvalidRequestException", "You can't rotate this secret because it has no value.")
}

func errNoRotation() *apiError {
	return clientError("InvalidRequestException", "You can't cancel rotation for a secret that has no rotation configured.")
}

func errRotationNotComplete() *apiError {
	return clientError("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
}

func errCannotInvoke() *apiError {
	return clientError("AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.")
}

func errMustRemoveFrom(label, id string) *apiError {
	return clientError("InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", label, id)
}

func errNotAttached(label, id string) *apiError {
	return errParameter("Staging label %s is not attached to version %s.", label, id)
}

func errCurrentStays() *apiError {
	return errParameter("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
}

// errNoParameter is the sandbox's own: it would be worse to ignore a parameter
// than to say that it means nothing here.
func errNoParameter(op, parameter string) *apiError {
	return errParameter("The sandbox does not have the parameter %s of %s.", parameter, op)
}

func errNextToken() *apiError {
	return clientError("InvalidNextTokenException", "Invalid NextToken.")
}

func errNotJSON() *apiError {
	return clientError("SerializationException", "The request is not JSON of the expected form.")
}

func errTooLarge() *apiError {
	return &apiError{"RequestEntityTooLargeException", "The request is too large.", http.StatusRequestEntityTooLarge}
}

func errParameter(format string, args ...any) *apiError {
	return clientError("InvalidParameterException", format, args...)
}

func errValidation(format string, args ...any) *apiError {
	return clientError("ValidationException", format, args...)
}

func errThrottled() *apiError { return clientError("ThrottlingException", "Rate exceeded") }

// errNotSigned has the name that services with JSON protocols send. AWS's lists of
// common errors call it MissingAuthenticationToken.
func errNotSigned() *apiError {
	return clientError("MissingAuthenticationTokenException", "Missing Authentication Token")
}

func errUnknownOperation(op string) *apiError {
	return clientError("UnknownOperationException", "The sandbox does not have the operation %q. Of Secrets Manager it has %s.", op, strings.Join(operationNames(), ", "))
}
