package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"panther-token-rotation/internal/rotation"
)

// secretModel is a secret in Secrets Manager, with the rules of versions and
// staging labels that rotation relies on.
type secretModel struct {
	world    *world
	arn      string
	versions []*versionModel // oldest first
	past     []*versionModel // as they were before the last write, for reads that lag
	enabled  bool            // rotation is
	rotated  int
	rotating bool // Secrets Manager is at work on it

	replicaStatus              string
	replicaSince, replicaUntil time.Time

	rests          map[string]bool // what stood around the tokens of any value so far
	edits          int             // of another key, by hand
	atStart        []string        // the tokens that AWSCURRENT had then
	beforeRotation []string
	// notToTake are tokens that a person has for a purpose of their own: none of
	// them may become AWSCURRENT.
	notToTake []*tokenModel
	// acts are the last value that a person put and the labels moved by hand since.
	acts []act
	// byHand: a person gave AWSCURRENT to the version that has it.
	byHand   bool
	reacts   bool // whoever is notified of the next failure puts a token
	failures []rotation.Kind
	// denied: RotateSecret itself failed, which its caller sees. The function was
	// not invoked.
	denied bool
}

type versionModel struct {
	id      string
	labels  []string
	created time.Time
	value   string // empty until it is stored
}

// valueOf makes a value with one token or two, active first. No rotation may
// change the rest, not even how it is written.
func valueOf(edit int, tokens ...string) string {
	value := fmt.Sprintf(`{"weight" : %d.0e0 , "PANTHER_API_TOKEN": "`, edit) + tokens[0]
	if len(tokens) > 1 {
		value += `","PANTHER_API_TOKEN_STANDBY" :  "` + tokens[1]
	}
	return value + `" }` + "\n"
}

const standbyKey = `","PANTHER_API_TOKEN_STANDBY" :  "`

// split returns what stands before the tokens and the tokens; no tokens if the
// value is not as valueOf makes it.
func split(value string) (rest string, tokens []string) {
	const end = "\" }\n"
	at := strings.Index(value, `: "`)
	if at < 0 || !strings.HasSuffix(value, end) {
		return value, nil
	}
	rest, inner := value[:at], strings.TrimSuffix(value[at+3:], end)
	if active, standby, two := strings.Cut(inner, standbyKey); two {
		return rest, []string{active, standby}
	}
	return rest, []string{inner}
}

func tokensIn(value string) []string {
	_, tokens := split(value)
	return tokens
}

func restOf(value string) string {
	rest, _ := split(value)
	return rest
}

// shapeOf returns what distinguishes values but for their tokens.
func shapeOf(value string) string {
	rest, tokens := split(value)
	return fmt.Sprint(len(tokens), rest)
}

func newSecret(w *world, arn string) *secretModel {
	s := &secretModel{world: w, arn: arn, enabled: true}
	s.fill()
	current := s.labelled(rotation.LabelCurrent)
	s.atStart, s.beforeRotation = s.currentTokens(), s.currentTokens()
	s.acts = []act{{at: current.created, tokens: s.models(s.atStart), stored: make([]time.Time, len(s.atStart))}}
	if !w.scenario.young {
		time.Sleep(25 * time.Hour)
	}
	return s
}

// fill makes the versions that the scenario begins with. With two tokens, each
// value has the one that was active before as its standby.
func (s *secretModel) fill() {
	p, two := s.world.panther, s.world.scenario.two
	add := func(label string, active, standby *tokenModel) {
		time.Sleep(time.Hour)
		tokens := []string{active.value}
		if two {
			tokens = append(tokens, standby.value)
		}
		v := &versionModel{id: fmt.Sprintf("initial-%d", len(s.versions)), created: time.Now()}
		if label != "" {
			v.labels = []string{label}
		}
		s.versions = append(s.versions, v)
		s.store(v, valueOf(1, tokens...))
	}
	switch s.world.scenario.state {
	case ordinary:
		add("", p.dead(), p.dead())
		add(rotation.LabelCurrent, p.living(), p.living())
	case movedBack, cancelled:
		label := map[state]string{movedBack: rotation.LabelPrevious}[s.world.scenario.state]
		replaced := p.dead()
		active := replaced
		if two {
			active = p.living()
		}
		add(rotation.LabelCurrent, active, replaced)
		add(label, p.successorOf(replaced), active)
	case outOfReach:
		older, labelled := p.living(), p.living()
		s.notToTake = []*tokenModel{labelled}
		add(rotation.LabelPrevious, older, p.dead())
		add(rotation.LabelCurrent, p.dead(), p.dead())
		add("REPORTS", labelled, p.dead())
	case standbyDead:
		add("", p.dead(), p.dead())
		add(rotation.LabelCurrent, p.living(), p.dead())
	}
}

func (s *secretModel) models(tokens []string) (models []*tokenModel) {
	for _, t := range tokens {
		models = append(models, s.world.panther.find(t))
	}
	return models
}

// store gives a version its value.
func (s *secretModel) store(v *versionModel, value string) {
	v.value = value
	if s.rests == nil {
		s.rests = map[string]bool{}
	}
	s.rests[shapeOf(value)] = true
	for _, t := range s.models(tokensIn(value)) {
		if t != nil && t.stored.IsZero() {
			t.stored = time.Now()
		}
	}
}

// remember keeps what a lagging read shows, in runs that have one.
func (s *secretModel) remember() {
	if !s.world.lags {
		return
	}
	s.past = nil
	for _, v := range s.versions {
		was := *v
		was.labels = slices.Clone(v.labels)
		s.past = append(s.past, &was)
	}
}

// swapPast exchanges what is with what was before the last write.
func (s *secretModel) swapPast() {
	if s.past != nil {
		s.versions, s.past = s.past, s.versions
	}
}

func (s *secretModel) version(id string) *versionModel {
	for _, v := range s.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

func (s *secretModel) labelled(label string) *versionModel {
	for _, v := range s.versions {
		if slices.Contains(v.labels, label) {
			return v
		}
	}
	return nil
}

// label moves a label, which sits on one version only, and has AWSPREVIOUS follow
// AWSCURRENT.
func (s *secretModel) label(v *versionModel, label string) {
	if slices.Contains(v.labels, label) {
		return
	}
	holder := s.labelled(label)
	if holder != nil {
		s.unlabel(holder, label)
	}
	v.labels = append(v.labels, label)
	if label == rotation.LabelCurrent && holder != nil {
		s.label(holder, rotation.LabelPrevious)
	}
}

func (s *secretModel) unlabel(v *versionModel, label string) {
	v.labels = slices.DeleteFunc(v.labels, func(l string) bool { return l == label })
}

// currentTokens returns the tokens of AWSCURRENT, the active one first.
func (s *secretModel) currentTokens() []string {
	if current := s.labelled(rotation.LabelCurrent); current != nil {
		return tokensIn(current.value)
	}
	return nil
}

// active returns the token that readers have.
func (s *secretModel) active() *tokenModel {
	if tokens := s.currentTokens(); len(tokens) > 0 {
		return s.world.panther.find(tokens[0])
	}
	return nil
}

func (s *secretModel) works() bool { return s.active().works() }

// purge has the versions vanish that Secrets Manager need not keep. Tokens that
// no other version holds are lost with them, and nothing shows the age of others.
func (s *secretModel) purge() {
	before := s.versions
	s.versions = nil
	for _, v := range before {
		if len(v.labels) > 0 || time.Since(v.created) < 24*time.Hour {
			s.versions = append(s.versions, v)
		}
	}
	for _, v := range before {
		for _, t := range s.models(tokensIn(v.value)) {
			t.lost = t.lost || !s.holds(t.value)
			t.ageless = t.ageless || s.version(v.id) == nil
		}
	}
}

// holds reports whether any version has the token.
func (s *secretModel) holds(token string) bool {
	return slices.ContainsFunc(s.versions, func(v *versionModel) bool { return slices.Contains(tokensIn(v.value), token) })
}

func (s *secretModel) replicas() []rotation.Replica {
	if s.replicaStatus == "" {
		return nil
	}
	if time.Now().Before(s.replicaUntil) {
		return []rotation.Replica{{Region: "us-east-1", Status: s.replicaStatus}}
	}
	return []rotation.Replica{{Region: "us-east-1", Status: "InSync"}}
}

// rotateSecret is RotateSecret with all that Secrets Manager does after it: it
// makes a version without a value, or takes up the rotation that is not
// complete, invokes the four steps in order, and starts again from the first a
// few times if one fails. It reports whether the rotation came to its end.
func (s *secretModel) rotateSecret() bool {
	s.world.rotations++
	outer := s.rotating
	s.rotating, s.enabled = true, true
	defer func() { s.rotating = outer }()
	s.dropCopy()
	pending := s.labelled(rotation.LabelPending)
	if pending == nil || slices.Contains(pending.labels, rotation.LabelCurrent) {
		if pending = s.newPending("rotated"); pending == nil {
			s.world.tell("RotateSecret: no room for another version")
			s.denied = true
			return false
		}
	}
	s.world.tell("RotateSecret: version %s", pending.id)
	for attempt := range 2 {
		if attempt > 0 {
			s.world.sleep(time.Minute)
			s.world.tell("Secrets Manager runs the rotation again")
		}
		if s.runSteps(pending) {
			return true
		}
	}
	s.world.tell("the rotation failed")
	if s.reacts {
		s.reacts = false
		s.world.sleep(2 * time.Minute)
		s.putFresh()
		for _, t := range s.models(s.currentTokens()) {
			t.from = time.Now().Add(40 * time.Second) // as Panther says of new tokens
		}
		return s.rotateSecret()
	}
	return false
}

// newPending makes the version of a rotation.
func (s *secretModel) newPending(name string) *versionModel {
	if time.Now().Before(s.world.full) {
		return nil
	}
	s.remember()
	s.rotated++
	v := &versionModel{id: fmt.Sprintf("%s-%d", name, s.rotated), created: s.world.instant()}
	s.versions = append(s.versions, v)
	s.label(v, rotation.LabelPending)
	return v
}

func (s *secretModel) runSteps(v *versionModel) bool {
	for _, step := range []rotation.Step{rotation.CreateSecret, rotation.SetSecret, rotation.TestSecret, rotation.FinishSecret} {
		if !s.enabled || !s.world.invoke(s, v, step) {
			return false
		}
	}
	if !slices.Contains(v.labels, rotation.LabelCurrent) {
		return false
	}
	s.unlabel(v, rotation.LabelPending)
	return true
}

// testAlone is RotateSecret with RotateImmediately=false: testSecret alone, on a
// copy of AWSCURRENT, which vanishes if it passes.
func (s *secretModel) testAlone() {
	if s.labelled(rotation.LabelPending) != nil {
		return // a rotation is not complete
	}
	v := s.newPending("tested")
	if v == nil {
		return // the secret is full
	}
	s.store(v, s.labelled(rotation.LabelCurrent).value)
	s.world.tell("RotateSecret, not immediately: version %s", v.id)
	if s.world.invoke(s, v, rotation.TestSecret) {
		s.unlabel(v, rotation.LabelPending)
		s.versions = slices.DeleteFunc(s.versions, func(o *versionModel) bool { return o == v })
	}
}

// dropCopy is what whoever is notified does of a copy of AWSCURRENT that stayed.
func (s *secretModel) dropCopy() {
	pending := s.labelled(rotation.LabelPending)
	if pending != nil && strings.HasPrefix(pending.id, "tested-") {
		s.unlabel(pending, rotation.LabelPending)
	}
}
