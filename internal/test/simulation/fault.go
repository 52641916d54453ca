package simulation

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is something that goes wrong at one call to the outside.
type Fault int

const (
	none Fault = iota
	// ErrorBefore: the call fails and has no effect.
	ErrorBefore
	// ErrorAfter: the call takes effect, but its answer is an error.
	ErrorAfter
	// Throttle: the call is turned away, by an answer that says so.
	Throttle
	// HangBefore and HangAfter: no answer comes until the caller gives up;
	// before or after the effect.
	HangBefore
	HangAfter
	// CrashBefore and CrashAfter: the process dies in the call.
	CrashBefore
	CrashAfter
	// SlowAnswer: the call succeeds, after 40 s.
	SlowAnswer
	// Misconfigured: something that is not Panther's API answers.
	Misconfigured
	// Refuse: Panther, or a gateway before it, says 403 for no reason.
	Refuse
	// Unreachable: no connection to Panther.
	Unreachable
	// SlowPropagation: the new token takes ten minutes to work.
	SlowPropagation
	// LaggingRead: a read does not see the value that was stored.
	LaggingRead
	// SecondBefore and SecondAfter: a second invocation of the same step runs,
	// from beginning to end, while this call is on its way or its answer is.
	SecondBefore
	SecondAfter
	// OvertakenBefore and OvertakenAfter: Secrets Manager has given up on this
	// invocation and runs the whole rotation again meanwhile.
	OvertakenBefore
	OvertakenAfter
	// StoreOutage: Secrets Manager fails from here on for ten minutes.
	StoreOutage
	// PutsDenied: somebody takes the permission to write away for two hours,
	// and with it the effect of this write.
	PutsDenied
	// PantherOutage: Panther cannot be reached for ten minutes.
	PantherOutage
	// ReplacedByHand: somebody puts a token made in the console.
	ReplacedByHand
	// CancelledByHand: somebody takes AWSPENDING off.
	CancelledByHand
	// OtherSecret: the function's other secrets are rotated meanwhile.
	OtherSecret

	// faultCount comes last: add faults above it.
	faultCount
)

var faultNames = [faultCount]string{
	none:            "none",
	ErrorBefore:     "error before the effect",
	ErrorAfter:      "error after the effect",
	Throttle:        "throttled",
	HangBefore:      "hang before the effect",
	HangAfter:       "hang after the effect",
	CrashBefore:     "crash before the effect",
	CrashAfter:      "crash after the effect",
	SlowAnswer:      "success after 40 s",
	Misconfigured:   "no API there",
	Refuse:          "refused for no reason",
	Unreachable:     "no connection",
	SlowPropagation: "slow propagation",
	LaggingRead:     "lagging read",
	SecondBefore:    "a second invocation before the effect",
	SecondAfter:     "a second invocation after the effect",
	OvertakenBefore: "overtaken before the effect",
	OvertakenAfter:  "overtaken after the effect",
	StoreOutage:     "Secrets Manager down for 10 min",
	PutsDenied:      "writes denied for 2 h",
	PantherOutage:   "Panther down for 10 min",
	ReplacedByHand:  "token replaced by hand",
	CancelledByHand: "AWSPENDING taken off by hand",
	OtherSecret:     "another secret is rotated meanwhile",
}

func (f Fault) String() string { return faultNames[f] }

// callKind says what a call to the outside is.
type callKind uint8

const (
	callDescribe callKind = iota
	callRead
	callReadPending
	callPut
	callLabel
	callList
	callRotate
	callCheck
)

func (k callKind) String() string {
	return [...]string{"DescribeSecret", "GetSecretValue", "GetSecretValue of the version being rotated", "PutSecretValue",
		"UpdateSecretVersionStage", "ListSecretVersionIds", "rotateAPIToken", "introspection"}[k]
}

func (k callKind) isPanther() bool { return k == callRotate || k == callCheck }

func (k callKind) writes() bool { return k == callPut || k == callLabel || k == callRotate }

// canInject reports whether f means anything at such a call.
func (f Fault) canInject(k callKind) bool {
	switch f {
	case ErrorAfter, HangAfter, CrashAfter, SecondAfter, OvertakenAfter:
		return k.writes()
	case Throttle, Misconfigured, Refuse, Unreachable, PantherOutage:
		return k.isPanther() // to rotation, a throttled store is one that fails
	case SlowPropagation, SlowAnswer:
		return k == callRotate
	case LaggingRead:
		return k == callReadPending
	case StoreOutage:
		return !k.isPanther()
	case PutsDenied:
		return k == callPut
	}
	return true
}

// Injection is a fault at the nth call of a run, counted from 0.
type Injection struct {
	Call  int
	Fault Fault
}

// Plan is the faults of one run, by call.
type Plan []Injection

func (p Plan) at(call int) Fault {
	if i := slices.IndexFunc(p, func(s Injection) bool { return s.Call == call }); i >= 0 {
		return p[i].Fault
	}
	return none
}

func (p Plan) String() string {
	if len(p) == 0 {
		return "no fault"
	}
	var parts []string
	for _, s := range p {
		parts = append(parts, fmt.Sprintf("call %d: %s", s.Call, s.Fault))
	}
	return strings.Join(parts, ", ")
}
