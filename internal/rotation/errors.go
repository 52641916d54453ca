package rotation

import "strings"

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
//
// A long cause, as of a denied call, is cut: the log has all of it.
func (e *Error) Error() string {
	where := " (" + string(e.Step) + " of secret " + e.SecretARN + ", version " + e.VersionID + "). "
	next := e.Next + " Runbook: #" + e.Kind.anchor()
	names := strings.Count(e.What+where+next, e.SecretARN)*len(e.SecretARN) + strings.Count(e.What+where+next, e.VersionID)*len(e.VersionID)
	return e.What + e.cause(maxMessage+names-len(e.What+where+next)) + where + next
}

// maxMessage is the length of a message, in bytes without the secret and the
// version. A cause gets at least minCause.
const (
	maxMessage = 300
	minCause   = 60
)

func (e *Error) cause(room int) string {
	if e.Cause == nil {
		return ""
	}
	cause := ": " + e.Cause.Error()
	if room = max(room, minCause); len(cause) > room {
		cause = strings.ToValidUTF8(cause[:room-len("…")], "") + "…"
	}
	return cause
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
