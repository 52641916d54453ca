package rotation

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
