package simulation

import (
	"cmp"
	"context"
	"errors"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// rotationToken is the RotationToken of each event. It is a secret too.
var rotationToken = secret.NewText("r~r~r~r~r~r~r~r~")

// process is a Lambda execution environment: the memory of a Rotator, for as
// long as it lives. It runs one invocation at a time.
type process struct {
	world   *world
	id      int
	dead    bool
	retire  retirement // what becomes of it when it is idle
	rotator *rotation.Rotator
	inv     *invocation // nil while it is idle
}

// retirement is how Lambda ends an idle process.
type retirement int

const (
	notYet retirement = iota
	withNotice
	withoutNotice
)

// noticeTime is what the function uses of the time between Lambda's notice and
// the end.
const noticeTime = 290 * time.Millisecond

// invocation is what a run notes of one invocation.
type invocation struct {
	secret   *secretModel
	version  *versionModel
	step     rotation.Step
	began    time.Time
	deadline time.Time
	// hadValue is whether the version had a value when this invocation last
	// could not but see it: when it began, and when rotateAPIToken returned.
	hadValue bool
	// provedWrite is whether a write has succeeded in this invocation.
	provedWrite bool
	// lagged is whether a read of this invocation showed the state before the
	// last write.
	lagged bool
	// unclear is whether the last answer to rotateAPIToken was lost, and the
	// token has not been seen to work since.
	unclear bool
	// lost is whether Panther replaced a token, its answer was lost, and no
	// other token has arrived since.
	lost bool
	// heldUp is whether a call took longer than the function let it, as no call
	// to the outside does that ends with its context.
	heldUp bool
	// echo is the token that was sent last, for errors that quote it.
	echo string
	// active is the active token of AWSCURRENT as it was last read.
	active string
	// readAt is when AWSCURRENT was last read.
	readAt time.Time
	// retiring: it is no invocation but Lambda's notice to the process.
	retiring bool
	// failedWrite is whether a write has failed in this invocation.
	failedWrite bool
}

// lambdaContext is the context of an invocation. It has Lambda's deadline but
// does not end there: a process does not live to see that, because call and
// invoke have it die at the deadline.
type lambdaContext struct {
	context.Context
	deadline time.Time
}

func (c lambdaContext) Deadline() (time.Time, bool) { return c.deadline, true }

// crash unwinds the invocation of a process that dies.
type crash struct{}

func (w *world) newProcess() *process {
	p := &process{world: w, id: len(w.processes) + 1}
	w.processes = append(w.processes, p)
	parts := rotation.Config{
		Store:              &storeModel{p},
		Issuer:             &issuerModel{p},
		Meter:              w.output,
		Keys:               secret.Keys{Token: "PANTHER_API_TOKEN", Standby: "PANTHER_API_TOKEN_STANDBY"},
		PropagationTimeout: propagationTimeout,
	}
	if w.scenario.sealed {
		parts.Sealer = sealerModel{w}
	}
	p.rotator = rotation.New(parts)
	return p
}

// pickProcess does as Lambda: an idle process if there is one, else a new one.
func (w *world) pickProcess() *process {
	var idle []*process
	for _, p := range w.processes {
		if !p.dead && p.inv == nil {
			idle = append(idle, p)
		}
	}
	switch {
	case w.preferred != nil && w.preferred.inv == nil && !w.preferred.dead:
		return w.preferred
	case len(idle) == 0:
		return w.newProcess()
	case w.random != nil:
		if n := w.random.IntN(len(idle) + 1); n < len(idle) {
			return idle[n]
		}
		return w.newProcess()
	case w.scenario.spread && len(idle) == 1 && len(w.processes) < 2:
		return w.newProcess()
	case w.scenario.spread:
		w.turn++
		return idle[w.turn%len(idle)]
	}
	return idle[0]
}

// invoke has Lambda run one step, as Secrets Manager does, and reports whether
// it succeeded.
func (w *world) invoke(s *secretModel, v *versionModel, step rotation.Step) (ok bool) {
	p := w.pickProcess()
	deadline := time.Now().Add(w.timeout())
	ctx := lambdaContext{context.Background(), deadline}
	p.inv = &invocation{secret: s, version: v, step: step, began: time.Now(), deadline: deadline, hadValue: v.value != ""}
	if w.telling {
		w.tell("%s for %s in process %d", step, v.id, p.id)
	}
	p.survives(func() {
		err := p.rotator.Handle(ctx, w.log, rotation.Request{
			Step: step, SecretID: s.arn, VersionID: v.id, RotationToken: rotationToken,
		})
		_ = p.ended(ctx)
		w.checkStepStored(p)
		ok = err == nil
		if failure, failed := errors.AsType[*rotation.Error](err); failed {
			s.failures = append(s.failures, failure.Kind)
			w.checkKeepsTrying(failure.Kind, deadline)
			w.checkAdmitsDanger(p.inv, failure.Kind)
			w.output.sweep(failure.Error())
			w.tell("  fails: %s: %s", failure.Kind, failure.What)
		}
	})
	p.inv = nil
	p.retired()
	return ok && !p.dead
}

// survives runs f, in which the process may die.
func (p *process) survives(f func()) {
	defer func() {
		if thrown := recover(); thrown != nil {
			if _, isCrash := thrown.(crash); !isCrash {
				panic(thrown)
			}
		}
	}()
	f()
}

// retired ends an idle process that is to be retired.
func (p *process) retired() {
	if p.dead || p.retire == notYet {
		return
	}
	if p.retire == withNotice {
		p.notice()
	}
	p.world.tell("process %d is gone", p.id)
	p.dead, p.world.crashed = true, true
}

// notice is Lambda's notice to a process that it ends.
func (p *process) notice() {
	p.world.tell("  Lambda gives process %d notice", p.id)
	deadline := time.Now().Add(noticeTime)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	was := p.inv
	p.inv = &invocation{secret: p.world.secrets[0], version: &versionModel{}, deadline: deadline.Add(time.Millisecond), retiring: true}
	p.survives(func() {
		p.rotator.Flush(ctx, p.world.log)
		p.world.checkFlushed(p)
	})
	p.inv = was
}

func (p *process) die(format string, args ...any) {
	p.world.tell("  "+format, args...)
	p.dead, p.world.crashed = true, true
	panic(crash{})
}

// latency is how long a call takes when nothing is wrong.
const latency = 5 * time.Millisecond

// pass lets the time pass that a call takes. That of calls which change nothing
// passes a little later, together: moving simulated time on is what costs most
// in a run.
func (w *world) pass(kind callKind) {
	w.latency += latency
	if kind.writes() || w.latency >= 8*latency {
		time.Sleep(w.latency)
		w.latency = 0
	}
	w.runLate()
}

// runLate brings about the effects that are due.
func (w *world) runLate() {
	for len(w.late) > 0 && !time.Now().Before(w.late[0].at) {
		late := w.late[0]
		w.late = w.late[1:]
		w.tell("  a call that failed takes effect")
		_ = late.effect()
	}
}

// lateEffect is what a call that failed does in the end.
type lateEffect struct {
	at     time.Time
	effect func() error
}

// call is one call to the outside.
type call struct {
	*process
	ctx    context.Context
	kind   callKind
	effect func() error
}

// call is every call to the outside: it lets the fault planned for it strike.
func (p *process) call(ctx context.Context, kind callKind, effect func() error) error {
	w := p.world
	if !p.inv.retiring { // which may come between the answer and the sealing
		w.checkNow()
	}
	fault := w.inject(kind)
	if w.telling {
		w.tell("  %s%s", kind, tellFault(fault))
	}
	w.pass(kind)
	if err := p.ended(ctx); err != nil {
		return err
	}
	c := &call{p, ctx, kind, effect}
	if fault != nil {
		return fault.do(c)
	}
	return c.run()
}

func tellFault(f *fault) string {
	if f == nil {
		return ""
	}
	return "  ← " + f.name
}

// run makes the call, unless there is an outage.
func (c *call) run() error {
	if err := c.world.outage(c.kind); err != nil {
		return err
	}
	err := c.effect()
	return cmp.Or(c.ended(c.ctx), err)
}

// runLater makes the call later, unless there is an outage now. Of Panther, that
// is between the question what became of the token and the next rotateAPIToken.
func (c *call) runLater() {
	later := 20 * time.Second
	if c.kind.isPanther() {
		later = 515 * time.Millisecond
	}
	if c.world.outage(c.kind) == nil {
		c.world.late = append(c.world.late, lateEffect{time.Now().Add(later), c.effect})
	}
}

// inject counts the call and returns the fault that strikes it.
func (w *world) inject(kind callKind) *fault {
	if !w.begun {
		return nil
	}
	n := w.calls
	w.calls++
	w.kinds = append(w.kinds, kind)
	fault := w.plan.at(n)
	if fault == nil || !fault.strikes(w, kind) {
		return nil
	}
	w.struck++
	return fault
}

// outage returns the error of a call that falls into an outage, or nil.
func (w *world) outage(kind callKind) error {
	now := time.Now()
	switch {
	case kind.isPanther() && now.Before(w.pantherDown):
		return errUnreachable
	case kind.isPanther():
		return nil
	case now.Before(w.storeDown):
		return errInjected
	case kind == callPut && now.Before(w.putsDenied):
		return errors.New("AccessDeniedException")
	}
	return nil
}

// ended ends the process if Lambda would have by now. Else it returns the error
// of a context that is over.
func (p *process) ended(ctx context.Context) error {
	if !time.Now().Before(p.inv.deadline) {
		if !p.inv.retiring {
			p.world.checkEndsInTime(p.inv)
		}
		p.die("Lambda ends process %d at its deadline", p.id)
	}
	return ctx.Err()
}

// sealerModel keeps what is sealed. Real sealing is tried elsewhere.
type sealerModel struct{ world *world }

// sealerState is what becomes of the next value to be sealed.
type sealerState int

const (
	sealerWorks sealerState = iota
	sealerFails
	sealerPanics
)

func (m sealerModel) Seal(arn, _ string, value secret.Text) error {
	state := m.world.sealer
	m.world.sealer = sealerWorks
	if state != sealerWorks {
		for _, t := range tokensIn(value.Reveal()) {
			m.world.panther.find(t).notSealed = true
		}
	}
	switch state {
	case sealerFails:
		return errors.New("no seal")
	case sealerPanics:
		panic("no seal for " + value.Reveal())
	}
	m.world.tell("    the new value is sealed into the log")
	m.world.sealed = append(m.world.sealed, sealedValue{arn, value.Reveal()})
	return nil
}
