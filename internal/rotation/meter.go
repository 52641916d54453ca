package rotation

import "time"

// Meter takes measurements that operators watch.
type Meter interface {
	Measure(Measurement)
}

// Measurement is one event worth counting. Kind is set for failures, Duration
// where the event is the end of a wait.
type Measurement struct {
	Event     MeasuredEvent
	SecretARN string
	Step      Step
	Kind      Kind
	Duration  time.Duration
}

// MeasuredEvent says what a Measurement is of.
type MeasuredEvent int

const (
	// Rotated: AWSCURRENT moved to the new token. Duration is how long readers
	// had a dead token: since Panther replaced it. It is 0 with two tokens, and
	// where another process had the token replaced.
	Rotated MeasuredEvent = iota
	// Failed: a step failed with Kind.
	Failed
	// Propagated: the new token works. Duration is the time since Panther made
	// it, or since testSecret began where another process had it made.
	Propagated
	// Unstored: a new token could not be stored in this invocation.
	Unstored
	// SealFailed: a new value could not be sealed before it was stored.
	SealFailed
	// StandbyDead: Panther refuses the token that is the standby now.
	StandbyDead
	// Checked: the daily check looked at the secret, whatever it found.
	Checked
	// AllChecked: the daily check looked at every secret.
	AllChecked
	// ProblemFound: the daily check found a problem of Kind.
	ProblemFound
)
