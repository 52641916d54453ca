// Package simulation tries the rotation protocol against everything that can go
// wrong at any of its calls, singly and in pairs, and checks after each run that
// no token was lost.
//
// It runs the real package rotation in a model of the world around it: Secrets
// Manager and how it drives a rotation (secretsmanager.go), Panther
// (panther.go), Lambda and the life of its processes (lambda.go). A run is one
// [World] with a [Plan] of faults (fault.go); it is deterministic, takes no real
// time within a testing/synctest bubble, and ends when Secrets Manager has
// retried until things settled. What must hold is in invariants.go, and for what
// the function prints in output.go.
//
// To add a fault: add it to fault.go with a name, say in canInject at which calls
// it can strike, and carry it out in process.call.
package simulation

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"panther-token-rotation/internal/rotation"
)

// Scenario is a world as it is before the first rotation.
type Scenario struct {
	Name string
	// State is what the secret's versions look like.
	State State
	// Sealed gives the function a recovery recipient.
	Sealed bool
	// Grace is how long a rotated token goes on working. Panther does not
	// say whether there is any.
	Grace time.Duration
	// Propagation is how long a fresh token takes to start working.
	Propagation time.Duration
	// Young: AWSCURRENT was made just now.
	Young bool
	// Spread has each invocation run in another process than the one before.
	Spread bool
	// ShortTimeout gives the function Lambda's default timeout of 3 s.
	ShortTimeout bool
	// SinglesOnly: no pairs of faults, to keep the time that make test takes.
	// The random walk combines faults in these scenarios too.
	SinglesOnly bool
	// Secrets is how many secrets the function rotates; 0 means one.
	Secrets int
}

// State is what the versions of a secret look like at the start.
type State int

const (
	// Ordinary: AWSCURRENT holds the living token.
	Ordinary State = iota
	// MovedBack: somebody moved AWSCURRENT back to the version before, whose
	// token is dead.
	MovedBack
	// Cancelled: a rotation was cancelled after createSecret, and its version,
	// with the living token, has no label.
	Cancelled
	// OutOfReach: AWSCURRENT's token is dead, and those that live are not for the
	// function to take: one in an older version, which somebody replaced on
	// purpose, and one in a newer version with a label of somebody's own.
	OutOfReach
)

// propagationTimeout and lambdaTimeout are the settings of the function, as
// deployed by default.
const (
	propagationTimeout = 3 * time.Minute
	lambdaTimeout      = 4 * time.Minute
)

// Variant changes the function that a world is run with. Tests break the
// protocol with it.
type Variant struct {
	Name string
	// Parts changes what the Rotator works with.
	Parts func(*rotation.Config)
	// Forgetful: a process remembers nothing from one invocation to the next.
	Forgetful bool
	// NoDeadline: the function does not see Lambda's deadline.
	NoDeadline bool
}

// World is one run.
type World struct {
	scenario Scenario
	plan     Plan
	variant  Variant
	random   *rand.Rand // picks processes; nil: the first idle one

	secrets   []*secretModel
	panther   *pantherModel
	processes []*process
	preferred *process // the one to be used, if it is idle
	turn      int
	output    *output
	log       *slog.Logger

	// How the faults of the plan go on.
	struck      int // how many came to pass
	storeDown   time.Time
	putsDenied  time.Time
	pantherDown time.Time
	slow        bool          // the next token takes long to work
	latency     time.Duration // of calls so far, yet to pass

	// What is noted of the run.
	calls      int
	kinds      []callKind // of each call
	failures   []toldFailure
	sealed     []sealedValue
	reached    []reachedToken
	lostAnswer bool // Panther replaced a token and its answer did not arrive
	crashed    bool // a process died, which Lambda's error metric tells
	rotations  int  // RotateSecret calls so far
	explored   int  // calls when the faults were over
	violations []string

	telling bool
	trace   []string
	started time.Time
}

// reachedToken is a token that Panther's answer brought into a process.
type reachedToken struct {
	token   string
	secret  *secretModel
	process *process
}

// sealedValue is a value in the sealed log, of the secret with that ARN.
type sealedValue struct{ arn, value string }

// toldFailure is what an operator heard of a secret.
type toldFailure struct {
	secret *secretModel
	kind   rotation.Kind
}

// newWorld makes a world with its secrets and their tokens.
func newWorld(scenario Scenario, plan Plan, variant Variant) *World {
	w := &World{scenario: scenario, plan: plan, variant: variant, kinds: make([]callKind, 0, 64)}
	w.panther = &pantherModel{world: w}
	w.output = &output{w}
	w.log = slog.New(w.output)
	for i := range max(scenario.Secrets, 1) {
		w.secrets = append(w.secrets, newSecret(w, fmt.Sprintf("arn:aws:secretsmanager:eu-west-1:123456789012:secret:panther-%d", i), scenario.State))
	}
	w.started = time.Now()
	return w
}

// timeout is the function's. Where it is too short, somebody raises it after
// the first rotation has failed.
func (w *World) timeout() time.Duration {
	if w.scenario.ShortTimeout && w.rotations <= 1 {
		return 3 * time.Second // Lambda's default
	}
	return lambdaTimeout
}

// tell adds to the trace, if there is one. Where it would be called often, ask
// for telling first: arguments cost, also those that are not used.
func (w *World) tell(format string, args ...any) {
	if w.telling {
		at := time.Since(w.started).Round(time.Millisecond)
		w.trace = append(w.trace, fmt.Sprintf("%10s  ", at)+fmt.Sprintf(format, args...))
	}
}

func (w *World) violate(format string, args ...any) {
	violation := fmt.Sprintf(format, args...)
	w.violations = append(w.violations, violation)
	w.tell("VIOLATION: %s", violation)
}

// run has Secrets Manager rotate, and rotate again later as a schedule does,
// until no fault is left and a rotation went through; then once more with each
// process that is still alive. It checks what must hold at the end.
func (w *World) run() {
	rounds := 4
	if w.scenario.State == OutOfReach {
		rounds = 1 // only a person can mend this one
	}
	for _, s := range w.secrets {
		for range rounds {
			if s.rotateSecret() && w.struck >= len(w.plan) {
				break
			}
			time.Sleep(3 * time.Hour)
		}
	}
	w.explored = w.calls
	w.rotateUntilLiving()

	for _, p := range w.processes {
		for _, s := range w.secrets {
			if p.dead || !w.owes(p) {
				continue
			}
			time.Sleep(3 * time.Hour)
			w.tell("process %d, which is still warm, is used once more", p.id)
			w.preferred = p
			s.rotateSecret()
			w.preferred = nil
		}
	}
	w.rotateUntilLiving()
	w.checkLiving()
	w.checkStored()
}

// rotateUntilLiving has a secret whose AWSCURRENT is dead rotated again, by its
// schedule or by whoever was told.
func (w *World) rotateUntilLiving() {
	for _, s := range w.secrets {
		for range 3 {
			if s.works() {
				break
			}
			w.checkTold()
			time.Sleep(3 * time.Hour)
			w.tell("the next rotation")
			s.rotateSecret()
		}
	}
}
