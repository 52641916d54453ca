package rotation

// Error is a rotation step that failed.
type Error struct {
	Kind      Kind
	Step      Step
	SecretARN string
	VersionID string
	// What says what failed, Next what to do now. Neither holds a secret.
	What, Next string
	// Cause is the error behind it, or nil. It holds no secret.
	Cause error
}

// Error names the secret and the version, because Secrets Manager shows its
// users nothing else of a failed rotation.
func (e *Error) Error() string {
	cause := ""
	if e.Cause != nil {
		cause = ": " + e.Cause.Error()
	}
	return e.What + cause + " (" + string(e.Step) + " of secret " + e.SecretARN + ", version " + e.VersionID + "). " + e.Next + " Runbook: #" + e.Kind.anchor()
}

// Unwrap gives errors.Is and errors.As both the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

const (
	rotateAgain = "aws secretsmanager rotate-secret --secret-id <secret>"
	dropPending = "aws secretsmanager update-secret-version-stage --secret-id <secret> --version-stage AWSPENDING --remove-from-version-id <version>"
)

// nextActions is what an operator does next, by kind. <secret> and <version>
// stand for those of the invocation.
var nextActions = map[Kind]string{
	NotStored:             "Do not deploy the function or change its settings. Rotate again now: " + rotateAgain + ".",
	OutcomeUnknown:        "Rotate again to find out: " + rotateAgain + ".",
	TokenLost:             "Restore the sealed value if RECOVERY_RECIPIENT is set; otherwise put a new API token.",
	TokenRefused:          "Check PANTHER_API_URL and the token's CIDR blocks. Then restore a sealed value or put a new API token.",
	StaleSave:             "AWSCURRENT holds a dead token. Rotate now: " + rotateAgain + ".",
	NotYetWorking:         "Do not remove AWSPENDING: it may hold the only living token. Rotate again: " + rotateAgain + ".",
	Superseded:            "The next rotation adopts the living token: " + rotateAgain + ".",
	StandbyRefused:        "Readers are not affected. Put a new API token as the standby.",
	StandbyLost:           "Readers are not affected. Put a new API token as the standby.",
	ReplacedByHand:        "Rotate again in some minutes; if that fails: " + dropPending + ".",
	Abandoned:             "The value that was put stays. Rotate it when you like: " + rotateAgain + ".",
	SecretUnusable:        "Put a usable value: aws secretsmanager put-secret-value --secret-id <secret> --secret-string file://value.",
	StoreUnavailable:      "Secrets Manager retries. If it persists, check the function's role, the KMS key and the network path.",
	PantherUnavailable:    "Secrets Manager retries. If it persists, check the network path to PANTHER_API_URL (route, NAT, DNS, TLS inspection).",
	EndpointMisconfigured: "Set PANTHER_API_URL to the API URL that the Panther console shows under Settings > API Tokens.",
	NoTime:                "Nothing was rotated. Set the function's Timeout to 240 seconds.",
	NotRotating:           "Start a rotation: " + rotateAgain + ".",
	BadEvent:              "Secrets Manager invokes this function. Start a rotation: " + rotateAgain + ".",
}

const (
	nextOnCopy       = "Nothing was rotated. Repair it, then test again (\"The deployment's test failed\")."
	nextMakeRoom     = "Remove what writes to the secret so often. Secrets Manager deletes unlabelled versions a day after they were made."
	nextDropCopy     = "Drop it, then rotate: " + dropPending + "."
	nextKeepPending  = "Do not remove AWSPENDING: it may hold the only living token. Check SECRET_TOKEN_KEY."
	nextCheckPanther = "Do not remove AWSPENDING. Check the network path to PANTHER_API_URL, then rotate again: " + rotateAgain + "."
)
