package rotation

// Kind says how a rotation step ended when it failed. Kinds are errors, so
// errors.Is(err, TokenLost) tells them apart; each arrives as errorType in
// Lambda's error payload and as a dimension of the failure metric.
type Kind string

const (
	// BadEvent: the event is not one that Secrets Manager sends.
	BadEvent Kind = "BadEvent"
	// NotRotating: the secret or its labels are not in a state in which this
	// version may be rotated.
	NotRotating Kind = "NotRotating"
	// SecretUnusable: the value of the secret holds no token to rotate.
	SecretUnusable Kind = "SecretUnusable"
	// StoreUnavailable: Secrets Manager failed or refused; nothing is lost.
	StoreUnavailable Kind = "StoreUnavailable"
	// NoTime: too little time is left to rotate safely; nothing happened.
	NoTime Kind = "NoTime"
	// EndpointMisconfigured: what answers at PANTHER_API_URL is not Panther's
	// GraphQL API.
	EndpointMisconfigured Kind = "EndpointMisconfigured"
	// PantherUnavailable: Panther did not take the call; nothing happened.
	PantherUnavailable Kind = "PantherUnavailable"
	// TokenRefused: Panther does not accept the current token, and no version
	// of the secret holds a successor.
	TokenRefused Kind = "TokenRefused"
	// TokenLost: Panther rotated the token, but its answer never arrived.
	TokenLost Kind = "TokenLost"
	// OutcomeUnknown: an answer was lost, and Panther has not yet told
	// whether it rotated the token.
	OutcomeUnknown Kind = "OutcomeUnknown"
	// NotStored: a new token could not be stored; this process still holds it.
	NotStored Kind = "NotStored"
	// NotYetWorking: the new token does not work, and the current one was not
	// seen to.
	NotYetWorking Kind = "NotYetWorking"
	// ReplacedByHand: the new token is dead but the current one lives.
	ReplacedByHand Kind = "ReplacedByHand"
	// Superseded: two invocations had the token rotated, and it is the one in
	// another version that lives, or may.
	Superseded Kind = "Superseded"
)

func (k Kind) Error() string { return string(k) }

// Error is a rotation step that failed.
type Error struct {
	Kind      Kind
	Step      Step
	SecretARN string
	VersionID string
	// What says what happened, Do what to do now. Neither holds a secret.
	What, Do string
	// Cause is the error behind it, if there is one. It holds no secret.
	Cause error
}

func (e *Error) Error() string {
	cause := ""
	if e.Cause != nil {
		cause = ": " + e.Cause.Error()
	}
	return e.What + cause + " (" + string(e.Step) + " of secret " + e.SecretARN + ", version " + e.VersionID + "). " + e.Do
}

// Unwrap gives errors.Is and errors.As both the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}
