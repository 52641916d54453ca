package rotation

import (
	"context"
	"log/slog"
)

// Event names what a log line reports. It is the line's field "event", on
// which metric filters, the dashboard and the runbook's commands filter. It
// never changes. The message is for people and may change.
type Event string

// The events, in the order in which a rotation meets them.
const (
	EventStarted            Event = "started"
	EventSettingsInvalid    Event = "settings_invalid"
	EventStepDone           Event = "step_done"
	EventStepFailed         Event = "step_failed"
	EventNothingToDo        Event = "nothing_to_do"
	EventReadFailed         Event = "read_failed"
	EventTokenRotated       Event = "token_rotated"
	EventRotateFailed       Event = "rotate_failed"
	EventCurrentTokenWorks  Event = "current_token_works"
	EventSuccessorFound     Event = "successor_found"
	EventValueSealed        Event = "value_sealed"
	EventSealFailed         Event = "seal_failed"
	EventTokenStored        Event = "token_stored"
	EventHeldTokenStored    Event = "held_token_stored"
	EventSuccessorStored    Event = "successor_stored"
	EventStoreFailed        Event = "store_failed"
	EventTokenWorks         Event = "token_works"
	EventTokenNotYetWorking Event = "token_not_yet_working"
	EventStandbyRefused     Event = "standby_refused"
	EventReplicaNotInSync   Event = "replica_not_in_sync"
	EventMoveFailed         Event = "move_failed"
	EventCurrentMoved       Event = "current_moved"
	EventSecretChecked      Event = "secret_checked"
	EventProblemFound       Event = "problem_found"
	EventCheckFailed        Event = "check_failed"
)

var events = map[Event]struct {
	level   slog.Level
	message string
}{
	EventStarted:            {slog.LevelInfo, "the function started"},
	EventSettingsInvalid:    {slog.LevelError, "the function's settings are invalid"},
	EventStepDone:           {slog.LevelInfo, "step done"},
	EventStepFailed:         {slog.LevelError, "step failed"},
	EventNothingToDo:        {slog.LevelInfo, "nothing to do"},
	EventReadFailed:         {slog.LevelWarn, "a read from Secrets Manager failed"},
	EventTokenRotated:       {slog.LevelInfo, "Panther rotated the token"},
	EventRotateFailed:       {slog.LevelWarn, "rotateAPIToken returned no token"},
	EventCurrentTokenWorks:  {slog.LevelInfo, "the current token still works"},
	EventSuccessorFound:     {slog.LevelWarn, "Panther refuses the token; another version holds a living one"},
	EventValueSealed:        {slog.LevelError, "sealed a new value before storing it; needed only if storing fails"}, // error: no log level drops it
	EventSealFailed:         {slog.LevelError, "cannot seal the new value"},
	EventTokenStored:        {slog.LevelInfo, "stored the new token as AWSPENDING"},
	EventHeldTokenStored:    {slog.LevelWarn, "stored a token as AWSPENDING that an earlier attempt could not store"}, // resolves NotStored
	EventSuccessorStored:    {slog.LevelWarn, "stored a token in a successor version"},
	EventStoreFailed:        {slog.LevelWarn, "cannot store the new token yet"},
	EventTokenWorks:         {slog.LevelInfo, "the new token works"},
	EventTokenNotYetWorking: {slog.LevelDebug, "the new token does not work yet"},
	EventStandbyRefused:     {slog.LevelWarn, "Panther refuses the standby token; put a new one before the next rotation"},
	EventReplicaNotInSync:   {slog.LevelWarn, "a replica is not in sync; moving AWSCURRENT anyway"},
	EventMoveFailed:         {slog.LevelWarn, "cannot move AWSCURRENT yet"},
	EventCurrentMoved:       {slog.LevelInfo, "the new version is AWSCURRENT"},
	EventSecretChecked:      {slog.LevelInfo, "the daily check looked at the secret"},
	EventProblemFound:       {slog.LevelError, "the daily check found a problem"},
	EventCheckFailed:        {slog.LevelError, "the daily check could not look at the secret"},
}

// Log writes one line that reports e. Attributes are those of slog.
func (e Event) Log(log *slog.Logger, attributes ...any) {
	line := events[e]
	log.Log(context.Background(), line.level, line.message, append([]any{"event", string(e)}, attributes...)...)
}
