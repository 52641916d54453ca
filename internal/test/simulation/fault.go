package simulation

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"panther-token-rotation/internal/rotation"
)

// fault is something that goes wrong at one call to the outside.
type fault struct {
	name string
	// strikes reports whether the fault means anything at such a call.
	strikes func(w *world, k callKind) bool
	// do makes the call with the fault and returns its error.
	do func(c *call) error
}

// faults is every fault that is explored. To add one, add a row.
var faults = []*fault{
	{"error before the effect", anyCall, func(c *call) error { return c.failure() }},
	{"error after the effect", writes, func(c *call) error { _ = c.run(); return c.failure() }},
	{"error, and the effect later", writes, func(c *call) error { c.runLater(); return c.failure() }},
	{"hang before the effect", anyCall, func(c *call) error { return c.hang() }},
	{"hang after the effect", writes, func(c *call) error { _ = c.run(); return c.hang() }},
	{"crash before the effect", anyCall, func(c *call) error { return c.crash() }},
	{"crash after the effect", writes, func(c *call) error { _ = c.run(); return c.crash() }},

	{"throttled", panther, func(*call) error {
		return &rotation.AnswerError{Answer: rotation.Throttled, RetryAfter: 2 * time.Second, Summary: "HTTP status 429"}
	}},
	{"no API there", panther, func(*call) error {
		return &rotation.AnswerError{Answer: rotation.Misconfigured, Summary: "HTTP status 404"}
	}},
	{"refused for no reason", panther, func(*call) error { return errRefused }},
	{"no connection", panther, func(*call) error { return errUnreachable }},
	{"success after 40 s", is(callRotate), func(c *call) error {
		c.inv.heldUp = true
		err := c.run()
		time.Sleep(40 * time.Second)
		return cmp.Or(c.ended(c.ctx), err)
	}},
	{"slow propagation", is(callRotate), func(c *call) error { c.world.slow = true; return c.run() }},
	{"the sealer fails", sealed, func(c *call) error { c.world.sealer = sealerFails; return c.run() }},
	{"the sealer panics", sealed, func(c *call) error { c.world.sealer = sealerPanics; return c.run() }},

	{"lagging read", reads, func(c *call) error {
		c.inv.lagged = true
		c.inv.secret.swapPast()
		defer c.inv.secret.swapPast()
		return c.run()
	}},

	{"Secrets Manager down for 10 min", store, func(c *call) error { c.world.storeDown = c.in(10 * time.Minute); return c.run() }},
	{"writes denied for 2 h", is(callPut), func(c *call) error { c.world.putsDenied = c.in(2 * time.Hour); return c.run() }},
	{"no room for versions and labels for a day", is(callPut), func(c *call) error { c.world.full = c.in(24 * time.Hour); return c.run() }},
	{"Panther down for 10 min", panther, func(c *call) error { c.world.pantherDown = c.in(10 * time.Minute); return c.run() }},
	{"a replica lags for 20 s", is(callDescribe, callRotate, callPut), replica("InProgress", 20*time.Second)},
	{"a replica lags for 3 min", is(callDescribe, callRotate, callPut), replica("InProgress", 3*time.Minute)},
	{"a replica fails for 2 h", is(callDescribe, callRotate, callPut), replica("Failed", 2*time.Hour)},
	{"unlabelled versions of yesterday vanish", store, before(func(c *call) { c.inv.secret.purge() })},

	{"a second invocation before the effect", anyCall, before((*call).invokeAgain)},
	{"a second invocation after the effect", writes, after((*call).invokeAgain)},
	{"overtaken before the effect", anyCall, before((*call).overtake)},
	{"overtaken after the effect", writes, after((*call).overtake)},
	{"a new rotation meanwhile", anyCall, before(func(c *call) { c.cancel(); c.inv.secret.rotateSecret() })},
	{"another secret is rotated meanwhile", severalSecrets, before(func(c *call) {
		for _, s := range c.world.secrets {
			if !s.rotating {
				s.rotateSecret()
			}
		}
	})},
	{"retired with notice when idle", is(callRotate, callPut), func(c *call) error { c.retire = withNotice; return c.run() }},
	{"retired without notice when idle", is(callRotate, callPut), func(c *call) error { c.retire = withoutNotice; return c.run() }},
	{"retired with notice at the next log line", is(callRotate), func(c *call) error {
		err := c.run()
		c.world.noticeAtLog = c.process
		return err
	}},

	{"token replaced by hand", anyCall, before(func(c *call) { c.inv.secret.putFresh() })},
	{"whoever is notified puts a token and rotates at once", is(callRotate, callPut), func(c *call) error { c.inv.secret.reacts = true; return c.run() }},
	{"standby replaced by hand", alternating, before(func(c *call) { c.inv.secret.putFreshStandby() })},
	{"another key edited", anyCall, before(func(c *call) { c.inv.secret.save(c.inv.secret.currentTokens()) })},
	{"the value from before the last rotation saved", afterRotations, before(func(c *call) { c.inv.secret.save(c.inv.secret.beforeRotation) })},
	{"the first value saved", anyCall, before(func(c *call) { c.inv.secret.save(c.inv.secret.atStart) })},
	{"AWSCURRENT moved back by hand", anyCall, before(func(c *call) { c.inv.secret.moveBack() })},
	{"AWSPENDING taken off by hand", anyCall, before((*call).cancel)},
	{"cancel-rotate-secret", anyCall, before(func(c *call) { c.inv.secret.enabled = false })},
}

// seldomPaired are the faults whose pairs are left to make explore, to keep the
// time that make test takes. Other rows stand for most of what they do.
var seldomPaired = []string{
	"hang before the effect", "throttled", "no API there", "no connection", "success after 40 s", "the sealer panics",
	"Panther down for 10 min", "a replica lags for 3 min", "a replica fails for 2 h",
	"a replica lags for 20 s", "unlabelled versions of yesterday vanish", "a second invocation before the effect",
	"a second invocation after the effect", "overtaken after the effect", "another key edited", "cancel-rotate-secret",
}

func (f *fault) isSeldomPaired() bool { return slices.Contains(seldomPaired, f.name) }

// Where a fault can strike.
func anyCall(*world, callKind) bool     { return true }
func writes(_ *world, k callKind) bool  { return k.writes() }
func panther(_ *world, k callKind) bool { return k.isPanther() }
func store(_ *world, k callKind) bool   { return !k.isPanther() }
func reads(_ *world, k callKind) bool   { return !k.isPanther() && !k.writes() }
func sealed(w *world, k callKind) bool  { return w.scenario.sealed && k == callRotate }

func alternating(w *world, _ callKind) bool    { return w.scenario.two }
func severalSecrets(w *world, _ callKind) bool { return len(w.secrets) > 1 }
func afterRotations(w *world, _ callKind) bool { return w.scenario.rotations > 0 }

func is(kinds ...callKind) func(*world, callKind) bool {
	return func(_ *world, k callKind) bool { return slices.Contains(kinds, k) }
}

// before makes a fault of something that happens while a call is on its way,
// after of something that happens while its answer is.
func before(f func(*call)) func(*call) error {
	return func(c *call) error {
		c.meanwhile(f)
		return c.run()
	}
}

func after(f func(*call)) func(*call) error {
	return func(c *call) error {
		err := c.run()
		c.meanwhile(f)
		return cmp.Or(c.ended(c.ctx), err)
	}
}

func replica(status string, lasts time.Duration) func(*call) error {
	return func(c *call) error {
		s := c.inv.secret
		s.replicaStatus, s.replicaSince, s.replicaUntil = status, time.Now(), c.in(lasts)
		return c.run()
	}
}

// meanwhile has others act. It may take longer than the function lets a call
// take.
func (c *call) meanwhile(f func(*call)) {
	started := time.Now()
	f(c)
	c.inv.heldUp = c.inv.heldUp || time.Since(started) > 0
}

func (c *call) invokeAgain() { c.world.invoke(c.inv.secret, c.inv.version, c.inv.step) }

// overtake is Secrets Manager, which has given up on this invocation and runs
// the rotation again.
func (c *call) overtake() { c.inv.secret.runSteps(c.inv.version) }

func (c *call) cancel() { c.inv.secret.unlabel(c.inv.version, rotation.LabelPending) }

func (c *call) in(d time.Duration) time.Time { return time.Now().Add(d) }

// hang returns when the caller gives up.
func (c *call) hang() error {
	select {
	case <-c.ctx.Done():
	case <-time.After(time.Until(c.inv.deadline)):
	}
	return c.ended(c.ctx)
}

func (c *call) crash() error {
	c.die("process %d dies", c.id)
	return nil
}

// errInjected is what a failing call to Secrets Manager returns.
var errInjected = errors.New("InternalServiceError")

func (c *call) failure() error {
	if c.kind.isPanther() {
		// Not an AnswerError, and it quotes the token.
		return fmt.Errorf("502 Bad Gateway for key %s", c.inv.echo)
	}
	return errInjected
}

// callKind says what a call to the outside is.
type callKind uint8

const (
	callDescribe callKind = iota
	callReadCurrent
	callRead
	callReadPending
	callPut
	callLabel
	callList
	callRotate
	callCheck
)

func (k callKind) String() string {
	return [...]string{"DescribeSecret", "GetSecretValue of AWSCURRENT", "GetSecretValue", "GetSecretValue of the version being rotated",
		"PutSecretValue", "UpdateSecretVersionStage", "ListSecretVersionIds", "rotateAPIToken", "introspection"}[k]
}

func (k callKind) isPanther() bool { return k == callRotate || k == callCheck }

func (k callKind) writes() bool { return k == callPut || k == callLabel || k == callRotate }

// injection is a fault at the nth call of a run, counted from 0.
type injection struct {
	call  int
	fault *fault
}

// plan is the faults of one run, by call.
type plan []injection

func (p plan) at(call int) *fault {
	for _, s := range p {
		if s.call == call {
			return s.fault
		}
	}
	return nil
}

func (p plan) String() string {
	if len(p) == 0 {
		return "no fault"
	}
	var parts []string
	for _, s := range p {
		parts = append(parts, fmt.Sprintf("call %d: %s", s.call, s.fault.name))
	}
	return strings.Join(parts, ", ")
}
