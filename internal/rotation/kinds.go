package rotation

import "strings"

// Kind says how a rotation step failed. Kinds are errors, so
// errors.Is(err, TokenLost) distinguishes them. Each arrives as errorType in
// Lambda's error payload and as a dimension of the metric RotationsFailed.
type Kind string

// The kinds. [Kinds] says what each means.
const (
	BadEvent              Kind = "BadEvent"
	SecretDeleted         Kind = "SecretDeleted"
	RotationStuck         Kind = "RotationStuck"
	RotationOverdue       Kind = "RotationOverdue"
	RotationDisabled      Kind = "RotationDisabled"
	OtherFunction         Kind = "OtherFunction"
	TokenExpires          Kind = "TokenExpires"
	NotRotating           Kind = "NotRotating"
	SecretUnusable        Kind = "SecretUnusable"
	StoreUnavailable      Kind = "StoreUnavailable"
	NoTime                Kind = "NoTime"
	EndpointMisconfigured Kind = "EndpointMisconfigured"
	PantherUnavailable    Kind = "PantherUnavailable"
	TokenRefused          Kind = "TokenRefused"
	TokenLost             Kind = "TokenLost"
	OutcomeUnknown        Kind = "OutcomeUnknown"
	NotStored             Kind = "NotStored"
	NotYetWorking         Kind = "NotYetWorking"
	StaleSave             Kind = "StaleSave"
	StandbyRefused        Kind = "StandbyRefused"
	StandbyLost           Kind = "StandbyLost"
	ReplacedByHand        Kind = "ReplacedByHand"
	Abandoned             Kind = "Abandoned"
	Superseded            Kind = "Superseded"
)

func (k Kind) Error() string { return string(k) }

// anchor returns the anchor of the kind's section in the runbook.
func (k Kind) anchor() string { return strings.ToLower(string(k)) }

// Severity says how soon a person has to act on a failure.
type Severity string

const (
	// Page: readers have no working token, or a token may be lost. Act now.
	Page Severity = "page"
	// Ticket: rotation does not proceed, but readers have a working token, or
	// Secrets Manager's retry is expected to finish. Act in working hours.
	Ticket Severity = "ticket"
	// None: there is nothing to repair.
	None Severity = "none"
)

// KindInfo is one row of [Kinds].
type KindInfo struct {
	Kind     Kind
	Severity Severity
	Meaning  string // one sentence
	Anchor   string // of the section in deploy/docs/runbook.md
	// CheckOnly: the daily check finds it, and no rotation step fails with it.
	CheckOnly bool
}

// Kinds is the table of kinds. Alarms, the runbook and the dimensions of the
// metrics follow it.
var Kinds = []KindInfo{
	{NotStored, Page, "A new token could not be stored, and only this process holds it.", "notstored", false},
	{OutcomeUnknown, Page, "An answer to rotateAPIToken was lost, and it is not clear yet whether the token was rotated.", "outcomeunknown", false},
	{TokenLost, Page, "Panther rotated the token, but the answer with the new token never arrived.", "tokenlost", false},
	{TokenRefused, Page, "Panther refuses the AWSCURRENT token, and no other version holds a token that may replace it.", "tokenrefused", false},
	{StaleSave, Page, "A value with the replaced token was put as AWSCURRENT while the token was being rotated.", "stalesave", false},
	{NotYetWorking, Page, "The new token does not work, and the one it replaced is not known to work.", "notyetworking", false},
	{Superseded, Page, "The token in AWSPENDING is dead, and another version holds the living one.", "superseded", false},
	{StandbyRefused, Ticket, "Panther refuses the standby token, but the active token works.", "standbyrefused", false},
	{StandbyLost, Ticket, "Panther rotated the standby token, but the answer was lost; the active token works.", "standbylost", false},
	{ReplacedByHand, Ticket, "The new token is dead, but the one it replaced works.", "replacedbyhand", false},
	{Abandoned, Ticket, "Another value was put as AWSCURRENT while the token was being rotated, and it stays.", "abandoned", false},
	{SecretUnusable, Ticket, "The value of the secret holds no token that can be rotated.", "secretunusable", false},
	{StoreUnavailable, Ticket, "Secrets Manager failed or denied a call.", "storeunavailable", false},
	{PantherUnavailable, Ticket, "Panther did not take the call, so nothing happened.", "pantherunavailable", false},
	{EndpointMisconfigured, Ticket, "The server at PANTHER_API_URL is not Panther's GraphQL API.", "endpointmisconfigured", false},
	{NoTime, Ticket, "Too little time was left to rotate safely, so nothing happened.", "notime", false},
	{NotRotating, Ticket, "The secret or its staging labels do not allow a rotation of this version.", "notrotating", false},
	{SecretDeleted, Page, "The secret does not exist, or it is scheduled for deletion.", "secretdeleted", true},
	{RotationStuck, Page, "A rotation has not finished for more than a day.", "rotationstuck", true},
	{RotationOverdue, Ticket, "Secrets Manager has not rotated the secret although it was due.", "rotationoverdue", true},
	{RotationDisabled, Ticket, "Rotation is not enabled for the secret, or it has no schedule.", "rotationdisabled", true},
	{OtherFunction, Ticket, "The rotation of the secret names another function, or none.", "otherfunction", true},
	{TokenExpires, Ticket, "A token of the secret expires within two weeks.", "tokenexpires", true},
	{BadEvent, None, "The event is not a rotation event of Secrets Manager.", "badevent", false},
}
