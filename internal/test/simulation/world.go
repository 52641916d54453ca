// Package simulation tries the rotation protocol against everything that can go
// wrong at any of its calls, singly and in pairs, and checks after each run that
// no token was lost.
//
// It runs the real package rotation in a model of the world around it: Secrets
// Manager and how it drives a rotation (secretsmanager.go, store.go), Panther
// (panther.go), Lambda and the life of its processes (lambda.go), and people
// (people.go). A run is one
// world with a plan of faults; it is deterministic, takes no real time within a
// testing/synctest bubble, and ends when Secrets Manager has retried until
// things settled. What must hold is in invariants.go, and for what the function
// prints in output.go.
//
// To add a fault, add a row to the table in fault.go. To add a world, add a row
// to the table in explore.go.
package simulation

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"panther-token-rotation/internal/rotation"
)

// scenario is a world as it is before the first rotation.
type scenario struct {
	name string
	// two: the secret holds two tokens in turn.
	two bool
	// state is what the secret's versions look like.
	state state
	// sealed gives the function a recovery recipient.
	sealed bool
	// grace is how long a rotated token goes on working. Panther does not
	// say whether there is any.
	grace time.Duration
	// propagation is how long a fresh token takes to start working.
	propagation time.Duration
	// young: AWSCURRENT was made just now.
	young bool
	// spread has each invocation run in another process than the one before.
	spread bool
	// shortTimeout gives the function Lambda's default timeout of 3 s.
	shortTimeout bool
	// rotations is how many rotations came to their end before the faults begin.
	rotations int
	// testFirst has Secrets Manager run testSecret alone before the first rotation.
	testFirst bool
	// pairs: the tests try every pair of faults. In all scenarios, make explore
	// does, and the random walk combines more of them.
	pairs bool
	// secrets is how many secrets the function rotates; 0 means one.
	secrets int
}

// state is what the versions of a secret look like at the start.
type state int

const (
	// ordinary: AWSCURRENT holds the living token.
	ordinary state = iota
	// movedBack: a person moved AWSCURRENT back to the version before, whose
	// token was replaced.
	movedBack
	// cancelled: a rotation was cancelled after createSecret, and its version,
	// with the new token, has no label.
	cancelled
	// outOfReach: AWSCURRENT's token is dead, and those that live are not for the
	// function to take: one in an older version, which a person replaced on
	// purpose, and one in a newer version with a label of an operator's own.
	outOfReach
	// standbyDead: the standby is dead, and nothing can replace it.
	standbyDead
)

// propagationTimeout and lambdaTimeout are the settings of the function, as
// deployed by default.
const (
	propagationTimeout = 3 * time.Minute
	lambdaTimeout      = 4 * time.Minute
)

// world is one run.
type world struct {
	scenario scenario
	plan     plan
	begun    bool       // faults may strike now
	random   *rand.Rand // picks processes; nil: the first idle one

	secrets   []*secretModel
	panther   *pantherModel
	processes []*process
	preferred *process // the one to be used, if it is idle
	turn      int
	output    *output
	log       *slog.Logger

	// How the faults of the plan go on.
	struck      int  // how many came to pass
	lags        bool // the plan has a read that lags
	storeDown   time.Time
	putsDenied  time.Time
	full        time.Time // until then, Secrets Manager refuses a new version
	pantherDown time.Time
	slow        bool // the next token takes long to work
	sealer      sealerState
	noticeAtLog *process // Lambda ends it at the next line of the log
	late        []lateEffect
	latency     time.Duration // of calls so far, yet to pass
	written     int           // by the function, in bytes

	// What is noted of the run.
	calls      int
	kinds      []callKind // of each call
	sealed     []sealedValue
	reached    []reachedToken
	crashed    bool // a process died, which Lambda's error metric shows
	rotations  int  // RotateSecret calls so far
	explored   int  // calls when the faults were over
	violations []string

	telling bool
	trace   []string
	started time.Time
}

// reachedToken is a token that Panther's answer brought into a process.
type reachedToken struct {
	token   *tokenModel
	secret  *secretModel
	process *process
}

// sealedValue is a value in the sealed log, of the secret with that ARN.
type sealedValue struct{ arn, value string }

// newWorld makes a world with its secrets and their tokens.
func newWorld(s scenario, p plan) *world {
	w := &world{scenario: s, plan: p, kinds: make([]callKind, 0, 64)}
	for _, i := range p {
		w.lags = w.lags || i.fault.name == "lagging read"
	}
	w.panther = &pantherModel{world: w}
	w.output = &output{w}
	w.log = slog.New(w.output)
	for i := range max(s.secrets, 1) {
		w.secrets = append(w.secrets, newSecret(w, fmt.Sprintf("arn:aws:secretsmanager:eu-west-1:123456789012:secret:panther-%d", i)))
	}
	w.started = time.Now()
	return w
}

// NewStore makes a Store that is the model of Secrets Manager with one empty
// secret, without any fault, so that it can be held against the real one.
func NewStore(arn string) rotation.Store {
	w := &world{}
	w.panther = &pantherModel{world: w}
	w.output = &output{w}
	w.secrets = []*secretModel{{world: w, arn: arn, enabled: true}}
	p := &process{world: w, inv: &invocation{version: &versionModel{}, deadline: time.Now().Add(time.Hour), retiring: true}}
	return &storeModel{p}
}

// timeout is the function's. Where it is too short, a person raises it after
// the first rotation has failed.
func (w *world) timeout() time.Duration {
	if w.scenario.shortTimeout && w.rotations <= 1 {
		return 3 * time.Second // Lambda's default
	}
	return lambdaTimeout
}

// instant returns the time, which then passes: no two versions have the same
// date.
func (w *world) instant() time.Time {
	time.Sleep(time.Millisecond)
	return time.Now()
}

// sleep lets time pass between two rotations.
func (w *world) sleep(d time.Duration) {
	time.Sleep(d)
	w.runLate()
}

// tell adds to the trace, if there is one. Where it would be called often, ask
// for telling first: arguments cost, also those that are not used.
func (w *world) tell(format string, args ...any) {
	if w.telling {
		at := time.Since(w.started).Round(time.Millisecond)
		w.trace = append(w.trace, fmt.Sprintf("%10s  ", at)+fmt.Sprintf(format, args...))
	}
}

func (w *world) violate(format string, args ...any) {
	violation := fmt.Sprintf(format, args...)
	w.violations = append(w.violations, violation)
	w.tell("VIOLATION: %s", violation)
}

// untilNext is how long a schedule waits.
const untilNext = 25 * time.Hour

// run has Secrets Manager rotate, and rotate again later as a schedule does,
// until no fault is left and a rotation went through; then once more with each
// process that is still alive. It checks what must hold at the end.
func (w *world) run() {
	rounds := 4
	if w.scenario.state == outOfReach || w.scenario.state == standbyDead {
		rounds = 1 // only a person can mend this one
	}
	for _, s := range w.secrets {
		for range w.scenario.rotations {
			s.rotateSecret()
			w.sleep(untilNext)
		}
	}
	w.begun = true
	for _, s := range w.secrets {
		if w.scenario.testFirst {
			s.testAlone()
			w.sleep(untilNext)
		}
		for range rounds {
			if s.rotateSecret() && w.struck >= len(w.plan) {
				break
			}
			w.sleep(untilNext)
		}
	}
	w.explored, w.begun = w.calls, false
	w.heal()
	for _, p := range w.processes {
		for _, s := range w.secrets {
			if p.dead || !w.owes(p) {
				continue
			}
			w.sleep(untilNext)
			w.tell("process %d, which is still warm, is used once more", p.id)
			w.preferred = p
			s.rotateSecret()
			w.preferred = nil
		}
	}
	w.heal()
	w.checkLiving()
	w.checkStored()
}

// heal has a secret whose AWSCURRENT is dead rotated once more, by its schedule
// or by whoever was notified.
func (w *world) heal() {
	for _, s := range w.secrets {
		if !s.works() {
			w.checkTold(s)
			w.sleep(untilNext)
			w.tell("the next rotation")
			s.rotateSecret()
		}
	}
}
