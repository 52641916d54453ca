package simulation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// rotationToken is the RotationToken of each event. It is a secret too.
var rotationToken = secret.NewText("r~r~r~r~r~r~r~r~")

// process is a Lambda execution environment: the memory of a Rotator, for as
// long as it lives. It runs one invocation at a time.
type process struct {
	world   *World
	id      int
	dead    bool
	rotator *rotation.Rotator
	inv     *invocation // nil while it is idle
}

// invocation is what a run notes of one invocation.
type invocation struct {
	secret   *secretModel
	version  *versionModel
	step     rotation.Step
	deadline time.Time
	// hadValue is whether the version had a value when this invocation last
	// could not but see it: when it began, and when rotateAPIToken returned.
	hadValue bool
	// provedWrite is whether a write has succeeded in this invocation.
	provedWrite bool
	// lagged is whether a read of this invocation did not see a value.
	lagged bool
	// unclear is whether the last answer to rotateAPIToken was lost, and the
	// token has not been seen to work since.
	unclear bool
	// heldUp is whether a call took longer than the function let it, as no call
	// to the outside does that ends with its context.
	heldUp bool
	// echo is the token that was sent last, for errors that quote it.
	echo string
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

func (w *World) newProcess() *process {
	p := &process{world: w, id: len(w.processes) + 1}
	w.processes = append(w.processes, p)
	return p
}

func (p *process) start() {
	parts := rotation.Config{
		Store:              &storeModel{p},
		Issuer:             &issuerModel{p},
		Meter:              p.world.output,
		Keys:               secret.Keys{Token: "PANTHER_API_TOKEN", Standby: "PANTHER_API_TOKEN_STANDBY"},
		PropagationTimeout: propagationTimeout,
	}
	if p.world.scenario.Sealed {
		parts.Sealer = sealerModel{p.world}
	}
	if change := p.world.variant.Parts; change != nil {
		change(&parts)
	}
	p.rotator = rotation.New(parts)
}

// pickProcess does as Lambda: an idle process if there is one, else a new one.
func (w *World) pickProcess() *process {
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
	case w.scenario.Spread && len(idle) == 1 && len(w.processes) < 2:
		return w.newProcess()
	case w.scenario.Spread:
		w.turn++
		return idle[w.turn%len(idle)]
	}
	return idle[0]
}

// invoke has Lambda run one step, as Secrets Manager does, and reports whether
// it succeeded.
func (w *World) invoke(s *secretModel, v *versionModel, step rotation.Step) (ok bool) {
	p := w.pickProcess()
	if p.rotator == nil || w.variant.Forgetful {
		p.start()
	}
	deadline := time.Now().Add(w.timeout())
	ctx := context.Background()
	if !w.variant.NoDeadline {
		ctx = lambdaContext{ctx, deadline}
	}
	p.inv = &invocation{secret: s, version: v, step: step, deadline: deadline, hadValue: v.value != nil}
	if w.telling {
		w.tell("%s for %s in process %d", step, v.id, p.id)
	}
	defer func() {
		p.inv = nil
		if thrown := recover(); thrown != nil {
			if _, isCrash := thrown.(crash); !isCrash {
				panic(thrown)
			}
			ok = false
		}
	}()

	err := p.rotator.Handle(ctx, w.log, rotation.Request{
		Step: step, SecretID: s.arn, VersionID: v.id, RotationToken: rotationToken,
	})
	_ = p.ended(ctx)
	if failure, failed := errors.AsType[*rotation.Error](err); failed {
		w.failures = append(w.failures, toldFailure{s, failure.Kind})
		w.checkKeepsTrying(failure.Kind, deadline)
		w.output.sweep(failure.Error())
		w.tell("  fails: %s: %s", failure.Kind, failure.What)
	}
	return err == nil
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
func (w *World) pass(kind callKind) {
	w.latency += latency
	if kind.writes() || w.latency >= 8*latency {
		time.Sleep(w.latency)
		w.latency = 0
	}
}

// errInjected is what a failing call to Secrets Manager returns.
var errInjected = errors.New("InternalServiceError")

// call is every call to the outside: it lets the fault planned for it strike.
func (p *process) call(ctx context.Context, kind callKind, effect func() error) error {
	w, inv := p.world, p.inv
	w.checkNothingLost()
	fault := w.inject(kind)
	if w.telling {
		w.tell("  %s%s", kind, tellFault(fault))
	}
	w.pass(kind)
	if err := p.ended(ctx); err != nil {
		return err
	}

	failure := func() error {
		if kind.isPanther() {
			// Not an AnswerError, and it quotes the token.
			return fmt.Errorf("502 Bad Gateway for key %s", inv.echo)
		}
		return errInjected
	}
	do := func() error {
		if err := w.outage(kind); err != nil {
			return err
		}
		err := effect()
		return cmp.Or(p.ended(ctx), err)
	}

	switch fault {
	case ErrorBefore:
		return failure()
	case ErrorAfter:
		_ = do()
		return failure()
	case Throttle:
		return &rotation.AnswerError{Answer: rotation.Throttled, RetryAfter: 2 * time.Second, Summary: "HTTP status 429"}
	case HangBefore, HangAfter:
		if fault == HangAfter {
			_ = do()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(inv.deadline)):
		}
		return p.ended(ctx)
	case SlowAnswer:
		inv.heldUp = true
		err := do()
		time.Sleep(40 * time.Second)
		return cmp.Or(p.ended(ctx), err)
	case Misconfigured:
		return &rotation.AnswerError{Answer: rotation.Misconfigured, Summary: "HTTP status 404"}
	case CrashBefore:
		p.die("process %d dies", p.id)
	case CrashAfter:
		_ = do()
		p.die("process %d dies", p.id)
	case Refuse:
		return errRefused
	case Unreachable:
		return errUnreachable
	case LaggingRead:
		inv.lagged = true
		return rotation.ErrNoValue
	case SecondBefore:
		inv.heldUp = true
		w.invoke(inv.secret, inv.version, inv.step)
	case OvertakenBefore:
		inv.heldUp = true
		inv.secret.runSteps(inv.version)
	case SecondAfter, OvertakenAfter:
		inv.heldUp = true
		err := do()
		if fault == SecondAfter {
			w.invoke(inv.secret, inv.version, inv.step)
		} else {
			inv.secret.runSteps(inv.version)
		}
		return cmp.Or(p.ended(ctx), err)
	case OtherSecret:
		inv.heldUp = true
		for _, s := range w.secrets {
			if !s.rotating {
				s.rotateSecret()
			}
		}
	case ReplacedByHand:
		inv.secret.replaceByHand()
	case CancelledByHand:
		inv.secret.unlabel(inv.version, rotation.LabelPending)
	}
	return do()
}

func tellFault(f Fault) string {
	if f == none {
		return ""
	}
	return "  ← " + f.String()
}

// strike counts the call and returns the fault that strikes it.
func (w *World) inject(kind callKind) Fault {
	n := w.calls
	w.calls++
	w.kinds = append(w.kinds, kind)
	fault := w.plan.at(n)
	if fault == none || !fault.canInject(kind) {
		return none
	}
	w.struck++
	now := time.Now()
	switch fault {
	case StoreOutage:
		w.storeDown = now.Add(10 * time.Minute)
	case PutsDenied:
		w.putsDenied = now.Add(2 * time.Hour)
	case PantherOutage:
		w.pantherDown = now.Add(10 * time.Minute)
	case SlowPropagation:
		w.slow = true
	}
	return fault
}

// outage returns the error of a call that falls into an outage, or nil.
func (w *World) outage(kind callKind) error {
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
		p.world.checkEndsInTime(p.inv)
		p.die("Lambda ends process %d at its deadline", p.id)
	}
	return ctx.Err()
}

// sealerModel keeps what is sealed. Real sealing is tried elsewhere.
type sealerModel struct{ world *World }

func (m sealerModel) Seal(arn, _ string, value secret.Text) error {
	m.world.tell("    the new value is sealed into the log")
	m.world.sealed = append(m.world.sealed, sealedValue{arn, value.Reveal()})
	return nil
}
