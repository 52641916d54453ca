package rotation_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

const (
	arn                = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:panther-AbCdEf"
	propagationTimeout = 3 * time.Minute
	lambdaTimeout      = 4 * time.Minute
	rotationToken      = "Rk4Qz7Vw2Nb8Xc5Mj1Pd"
)

// token makes a token that is told apart by its number and never by eight
// characters that anything else here has.
func token(n int) string { return fmt.Sprintf("Xq%dZvK8wJ%dYh3Rt%dLm6P", n, n, n) }

var keys = secret.Keys{Token: "PANTHER_API_TOKEN", Standby: "PANTHER_API_TOKEN_STANDBY"}

// pair is a value with two tokens in turn, and another key.
func pair(active, standby int, note string) string {
	return fmt.Sprintf(`{"note": %q, "PANTHER_API_TOKEN_STANDBY": %q , "PANTHER_API_TOKEN":%q}`, note, token(standby), token(active))
}

// single is a value with one token, and another key.
func single(active int, note string) string {
	return fmt.Sprintf(`{"note": %q, "PANTHER_API_TOKEN":%q}`, note, token(active))
}

type version struct {
	labels  []string
	created time.Time
	value   string
}

// account is a secret in memory, a Panther that answers what it is told to, and
// everything that the rotation said. It is the Store, the Issuer, the Meter and
// the Sealer of its Rotator.
type account struct {
	t        *testing.T
	rotator  *rotation.Rotator
	versions map[string]*version
	enabled  bool
	replicas []rotation.Replica

	version            string // the one that steps are run for
	arn                string // as DescribeSecret says
	staleRotationToken bool   // Secrets Manager refuses the RotationToken

	answers  []any           // of Panther: a token, a late one or an error for each Rotate
	issued   int             // where there is no answer, the number of the next token; 0: none
	onRotate func()          // before Rotate returns
	living   map[string]bool // tokens that pass a Check
	checks   []error         // if not empty, what Check answers, and then by living

	deadline time.Time // Lambda's, of the step that runs

	due    time.Time // when change happens, seen by the first call after it
	change func()

	fail     func(call string) error // before a call to the store takes effect
	takenBy  func(id string)         // when a write next to the rotation fails
	unlisted string                  // a version that is not listed
	then     func(call string)       // after it

	calls      []string
	asked      []time.Time // when Panther was asked
	measured   []rotation.Measurement
	sealed     []string
	sealErr    error
	sealPanics bool
	log        bytes.Buffer
}

var (
	_ rotation.Store  = (*account)(nil)
	_ rotation.Issuer = (*account)(nil)
)

// inAccount runs a test in simulated time, in an account whose secret holds
// token 1 in version "old" and waits for a rotation in version "new".
func inAccount(t *testing.T, test func(t *testing.T, a *account)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &account{t: t, enabled: true, version: "new", versions: map[string]*version{}, living: map[string]bool{token(1): true}}
		a.add("old", token(1), rotation.LabelCurrent)
		time.Sleep(24 * time.Hour)
		a.add("new", "", rotation.LabelPending)
		a.restart()
		test(t, a)
		a.sweep()
	})
}

// restart is a cold start: the process's memory is gone.
func (a *account) restart() {
	a.rotator = rotation.New(rotation.Config{
		Store: a, Issuer: a, Meter: meter{a}, Sealer: sealer{a},
		Keys: keys, PropagationTimeout: propagationTimeout,
	})
}

func (a *account) add(id, value string, labels ...string) {
	time.Sleep(time.Millisecond)
	a.versions[id] = &version{labels: labels, created: time.Now(), value: value}
}

func (a *account) run(step rotation.Step, timeout ...time.Duration) *rotation.Error {
	a.t.Helper()
	limit := lambdaTimeout
	if len(timeout) > 0 {
		limit = timeout[0]
	}
	ctx, cancel := context.WithTimeout(a.t.Context(), limit)
	defer cancel()
	a.deadline, _ = ctx.Deadline()
	err := a.rotator.Handle(ctx, slog.New(slog.NewJSONHandler(&a.log, &slog.HandlerOptions{Level: slog.LevelDebug})), rotation.Request{
		Step: step, SecretID: arn, VersionID: a.version, RotationToken: secret.NewText(rotationToken),
	})
	if time.Until(a.deadline) < time.Second {
		a.t.Error("the step did not return a second before Lambda's deadline")
	}
	if err == nil {
		return nil
	}
	failure, ok := errors.AsType[*rotation.Error](err)
	if !ok {
		a.t.Fatalf("the error is a %T", err)
	}
	a.log.WriteString(err.Error())
	return failure
}

// mustFail runs a step that has to end with this kind, telling these things.
func (a *account) mustFail(step rotation.Step, kind rotation.Kind, says ...string) {
	a.t.Helper()
	a.check(a.run(step), kind, says...)
}

func (a *account) check(failure *rotation.Error, kind rotation.Kind, says ...string) {
	a.t.Helper()
	if failure == nil {
		a.t.Fatalf("it succeeded, want %s", kind)
	}
	if !errors.Is(failure, kind) {
		a.t.Fatalf("it failed with %s: %v; want %s", failure.Kind, failure, kind)
	}
	for _, part := range append(says, arn, "version "+a.version, "Runbook: #"+strings.ToLower(string(kind))) {
		if !strings.Contains(failure.Error(), part) {
			a.t.Errorf("the message does not tell %q: %v", part, failure)
		}
	}
	message := strings.ReplaceAll(strings.ReplaceAll(failure.Error(), arn, ""), a.version, "")
	if n := len([]rune(message)); n > 300 {
		a.t.Errorf("the message has %d characters: %s", n, message)
	}
	if last := a.measured[len(a.measured)-1]; last.Event != rotation.Failed || last.Kind != kind || last.SecretARN != arn {
		a.t.Errorf("the failure was measured as %+v", last)
	}
}

func (a *account) mustRun(step rotation.Step) {
	a.t.Helper()
	if failure := a.run(step); failure != nil {
		a.t.Fatalf("%s: %v", failure.Kind, failure)
	}
}

func (a *account) mustHold(id string, n int) {
	a.t.Helper()
	a.mustHaveValue(id, token(n))
}

func (a *account) mustHaveValue(id, value string) {
	a.t.Helper()
	if v := a.versions[id]; v == nil || v.value != value {
		a.t.Errorf("version %q holds %+v, want %s", id, v, value)
	}
}

func (a *account) count(call string) (n int) {
	for _, c := range a.calls {
		if c == call || strings.HasPrefix(c, call+" ") {
			n++
		}
	}
	return n
}

func (a *account) sweep() {
	a.t.Helper()
	output := a.log.String()
	for _, confidential := range []string{token(1), token(2), token(3), token(4), token(5), token(6), token(7), token(8), rotationToken} {
		for i := 0; i+8 <= len(confidential); i++ {
			if strings.Contains(output, confidential[i:i+8]) {
				a.t.Fatalf("a part of a token was printed: …%s…", output[max(0, strings.Index(output, confidential[i:i+8])-100):][:120])
			}
		}
		if strings.Contains(output, base64.StdEncoding.EncodeToString([]byte(confidential))[:12]) {
			a.t.Fatal("a token was printed in base64")
		}
	}
}

// after has something change in the world outside, after so long.
func (a *account) after(d time.Duration, change func()) { a.due, a.change = time.Now().Add(d), change }

func (a *account) catchUp() {
	if a.change != nil && !time.Now().Before(a.due) {
		a.change()
		a.change = nil
	}
}

func (a *account) store(ctx context.Context, call string) error {
	a.note(call)
	time.Sleep(time.Millisecond)
	a.catchUp()
	if a.fail != nil {
		if err := a.fail(call); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				<-ctx.Done()
			}
			return err
		}
	}
	return nil
}

// note notes a call, and ends a test that would never end.
func (a *account) note(call string) {
	if a.calls = append(a.calls, call); len(a.calls) > 3_000 {
		a.t.Fatal("the step calls without end")
	}
}

func (a *account) done(call string) {
	if a.then != nil {
		a.then(call)
	}
}

func (a *account) labelled(label string) string {
	for id, v := range a.versions {
		if slices.Contains(v.labels, label) {
			return id
		}
	}
	return ""
}

func (a *account) Describe(ctx context.Context, _ string) (rotation.Description, error) {
	if err := a.store(ctx, "Describe"); err != nil {
		return rotation.Description{}, err
	}
	d := rotation.Description{ARN: cmp.Or(a.arn, arn), RotationEnabled: a.enabled, Labels: map[string][]string{}, Replicas: a.replicas}
	for id, v := range a.versions {
		if len(v.labels) > 0 {
			d.Labels[id] = slices.Clone(v.labels)
		}
	}
	a.done("Describe")
	return d, nil
}

func (a *account) Read(ctx context.Context, _, id string) (rotation.Version, error) {
	if err := a.store(ctx, "Read "+id); err != nil {
		return rotation.Version{}, err
	}
	v := a.versions[id]
	if v == nil || v.value == "" {
		return rotation.Version{}, rotation.ErrNoValue
	}
	return rotation.Version{VersionInfo: rotation.VersionInfo{ID: id, Labels: v.labels, Created: v.created}, Value: secret.NewText(v.value)}, nil
}

func (a *account) ReadCurrent(ctx context.Context, arn string) (rotation.Version, error) {
	if err := a.store(ctx, "ReadCurrent"); err != nil {
		return rotation.Version{}, err
	}
	id := a.labelled(rotation.LabelCurrent)
	v := a.versions[id]
	return rotation.Version{VersionInfo: rotation.VersionInfo{ID: id, Labels: v.labels, Created: v.created}, Value: secret.NewText(v.value)}, nil
}

func (a *account) Put(ctx context.Context, p rotation.Put) error {
	call := "Put " + p.VersionID + " " + strings.Join(p.Labels, "+")
	if a.staleRotationToken {
		if !p.RotationToken.IsEmpty() {
			return errors.New("InvalidRequestException: the RotationToken is stale")
		}
	} else if p.RotationToken.Reveal() != rotationToken && a.count("Put successor") == 0 { // Flush tries without it, too
		a.t.Error("a Put without the RotationToken")
	}
	if strings.HasSuffix(call, rotation.LabelSuccessor) {
		call = "Put successor"
	}
	if err := a.store(ctx, call); err != nil {
		if a.takenBy != nil && call == "Put successor" {
			a.takenBy(p.VersionID)
		}
		return err
	}
	v := a.versions[p.VersionID]
	switch {
	case v != nil && v.value == p.Value.Reveal():
		return nil
	case v != nil && v.value != "":
		return rotation.ErrVersionTaken
	case v == nil:
		a.add(p.VersionID, p.Value.Reveal())
	default:
		v.value = p.Value.Reveal()
	}
	for _, label := range p.Labels {
		a.move(label, p.VersionID)
	}
	a.done(call)
	return nil
}

// move puts a label on a version, from which it is then taken off any other.
func (a *account) move(label, id string) {
	for other := range a.versions {
		a.unlabel(other, label)
	}
	a.versions[id].labels = append(a.versions[id].labels, label)
}

// moveCurrent is move for AWSCURRENT, which AWSPREVIOUS follows.
func (a *account) moveCurrent(id string) {
	if from := a.labelled(rotation.LabelCurrent); from != "" && from != id {
		a.move(rotation.LabelPrevious, from)
	}
	a.move(rotation.LabelCurrent, id)
}

// put is a person who stores a value. Secrets Manager abandons a rotation for it.
func (a *account) put(id, value string) {
	a.add(id, value)
	a.moveCurrent(id)
	for other := range a.versions {
		a.unlabel(other, rotation.LabelPending)
	}
}

// begin is RotateSecret: it makes a new version, or takes up one that is not
// finished.
func (a *account) begin(id string) {
	if pending := a.labelled(rotation.LabelPending); pending != "" && pending != a.labelled(rotation.LabelCurrent) {
		a.version = pending
		return
	}
	a.version = id
	a.add(id, "")
	a.move(rotation.LabelPending, id)
}

// beginAnew is a cancelled rotation, and another one for the same version.
func (a *account) beginAnew() {
	delete(a.versions, "new")
	a.add("new", "", rotation.LabelPending)
}

// flush stores what is held, for so long at most.
func (a *account) flush(limit time.Duration) {
	ctx, cancel := context.WithTimeout(a.t.Context(), limit)
	defer cancel()
	a.rotator.Flush(ctx, slog.New(slog.NewJSONHandler(&a.log, nil)))
}

// rotate is a whole rotation. It returns how the step that failed did.
func (a *account) rotate(id string) *rotation.Error {
	a.t.Helper()
	a.begin(id)
	for _, step := range []rotation.Step{rotation.CreateSecret, rotation.SetSecret, rotation.TestSecret, rotation.FinishSecret} {
		if failure := a.run(step); failure != nil {
			return failure
		}
	}
	a.unlabel(a.version, rotation.LabelPending)
	return nil
}

func (a *account) mustRotate(id string) {
	a.t.Helper()
	if failure := a.rotate(id); failure != nil {
		a.t.Fatalf("%s: %v", failure.Kind, failure)
	}
}

// active returns the token that readers have.
func (a *account) active() string {
	return secret.Tokens(secret.NewText(a.versions[a.labelled(rotation.LabelCurrent)].value), keys)[0].Reveal()
}

func (a *account) mustLive() {
	a.t.Helper()
	if !a.living[a.active()] {
		a.t.Errorf("AWSCURRENT (version %s) holds a dead token", a.labelled(rotation.LabelCurrent))
	}
}

func (a *account) MoveCurrent(ctx context.Context, _, from, to string) error {
	if err := a.store(ctx, "MoveCurrent"); err != nil {
		return err
	}
	if a.labelled(rotation.LabelCurrent) != from {
		return errors.New("AWSCURRENT is on another version")
	}
	a.moveCurrent(to)
	return nil
}

func (a *account) unlabel(id, label string) {
	v := a.versions[id]
	v.labels = slices.DeleteFunc(slices.Clone(v.labels), func(l string) bool { return l == label })
}

func (a *account) DropPending(ctx context.Context, _, id string) error {
	if err := a.store(ctx, "DropPending"); err != nil {
		return err
	}
	a.unlabel(id, rotation.LabelPending)
	return nil
}

func (a *account) Versions(ctx context.Context, _ string) (infos []rotation.VersionInfo, err error) {
	if err := a.store(ctx, "Versions"); err != nil {
		return nil, err
	}
	for id, v := range a.versions {
		if id == a.unlisted {
			continue
		}
		infos = append(infos, rotation.VersionInfo{ID: id, Labels: v.labels, Created: v.created})
	}
	return infos, nil
}

func (a *account) Rotate(ctx context.Context, old secret.Text) (secret.Text, error) {
	a.note("Rotate")
	a.asked = append(a.asked, time.Now())
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) < 15*time.Second {
		a.t.Error("Panther gets less than 15 s to answer")
	} else if a.deadline.Sub(deadline) < 15*time.Second {
		a.t.Error("less than 15 s are left for storing")
	}
	if current := secret.Tokens(secret.NewText(a.versions[a.labelled(rotation.LabelCurrent)].value), keys); len(current) == 2 && current[0].Equal(old) {
		a.t.Error("rotateAPIToken was called with the token that readers use")
	}
	if a.onRotate != nil {
		defer a.onRotate()
	}
	var answer any = refused
	switch {
	case len(a.answers) > 0:
		answer = a.answers[0]
		a.answers = a.answers[1:]
	case a.issued == 0:
		a.t.Fatal("rotateAPIToken was called once too often")
	case a.living[old.Reveal()]:
		answer = token(a.issued)
		a.issued++
	}
	if token, ok := answer.(late); ok {
		<-ctx.Done()
		answer = string(token)
	}
	if err, failed := answer.(error); failed {
		if errors.Is(err, context.DeadlineExceeded) {
			<-ctx.Done()
		}
		return secret.Text{}, err
	}
	a.living[old.Reveal()], a.living[answer.(string)] = false, true
	return secret.NewText(answer.(string)), nil
}

func (a *account) Check(ctx context.Context, asked secret.Text) error {
	a.note("Check")
	a.asked = append(a.asked, time.Now())
	a.catchUp()
	if asked.IsEmpty() {
		a.t.Error("Panther was asked of no token")
	}
	if len(a.checks) > 0 {
		err := a.checks[0]
		a.checks = a.checks[1:]
		return err
	}
	if a.living[asked.Reveal()] {
		return nil
	}
	return refused
}

type meter struct{ *account }

func (m meter) Measure(measured rotation.Measurement) { m.measured = append(m.measured, measured) }

type sealer struct{ *account }

func (s sealer) Seal(_, _ string, value secret.Text) error {
	if s.sealPanics {
		panic(value.Reveal())
	}
	s.calls = append(s.calls, "Seal")
	s.sealed = append(s.sealed, value.Reveal())
	return s.sealErr
}

// late is a token that Panther answers with when the caller's time is up.
type late string

// What Panther may answer.
var (
	refused       = answer(rotation.Unauthorized, 0)
	throttled     = answer(rotation.Throttled, 30*time.Second)
	notSent       = answer(rotation.NotSent, 0)
	unclear       = answer(rotation.Ambiguous, 0)
	misconfigured = answer(rotation.Misconfigured, 0)
)

func answer(kind rotation.Answer, retryAfter time.Duration) error {
	return &rotation.AnswerError{Answer: kind, RetryAfter: retryAfter, Summary: "an answer of Panther"}
}
