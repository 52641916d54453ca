package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/panther"
	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// answer is what Panther says of a token.
type answer string

const (
	works   answer = "works"
	refused answer = "refused"
	tooNew  answer = "too new" // refused, but it may only need time
	unclear answer = "unclear"
)

// token is a token of the secret, wherever it stands.
type token struct {
	text    secret.Text
	answer  answer
	summary string       // of an answer that is not works
	info    panther.Info // empty if Panther does not say
	since   time.Time    // when the oldest version that holds it was made
}

// slots are the names of the tokens in a value, in the order of secret.Tokens.
var slots = []string{"active", "standby"}

// versionView is a version of the secret and its tokens, the active one first.
type versionView struct {
	rotation.VersionInfo
	tokens []*token
	value  secret.Value // of a version whose tokens are usable
	// trouble says why there are no tokens.
	trouble string
}

func (v *versionView) has(label string) bool { return slices.Contains(v.Labels, label) }

func (v *versionView) holds(t *token) bool { return v != nil && slices.Contains(v.tokens, t) }

// lives reports whether Panther accepts the token in a slot.
func (v *versionView) lives(slot int) bool {
	return slot < len(v.tokens) && v.tokens[slot].answer == works
}

// picture is a secret at one moment.
type picture struct {
	described *sdk.DescribeSecretOutput
	versions  []*versionView // newest first
	current   *versionView
	// pending is the version of a rotation that is not finished, or nil.
	pending *versionView
	tokens  []*token
	// sealed: the log has a sealed value that no version holds.
	sealed bool
}

const (
	// maxVersions bounds how many versions are read: the newest, and all with
	// labels.
	maxVersions = 30
	// asked is how many questions run at once.
	asked = 4
)

// look reads the versions and asks Panther about each token.
func (s *target) look(ctx context.Context) (*picture, error) {
	described, err := s.describe(ctx)
	if err != nil {
		return nil, err
	}
	p := &picture{described: described}
	if described.DeletedDate != nil {
		return p, nil // nothing can be read
	}
	infos, err := s.store.Versions(ctx, s.arn)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(infos, func(a, b rotation.VersionInfo) int { return b.Created.Compare(a.Created) })
	for i, info := range infos {
		if i >= maxVersions && len(info.Labels) == 0 {
			continue
		}
		v, err := s.readVersion(ctx, p, info)
		if err != nil {
			return nil, err
		}
		p.versions = append(p.versions, v)
		if v.has(rotation.LabelCurrent) {
			p.current = v
		} else if v.has(rotation.LabelPending) {
			p.pending = v
		}
	}
	s.askAll(ctx, p.tokens)
	return p, ctx.Err()
}

func (s *target) readVersion(ctx context.Context, p *picture, info rotation.VersionInfo) (*versionView, error) {
	v := &versionView{VersionInfo: info}
	read, err := s.store.Read(ctx, s.arn, info.ID)
	switch {
	case errors.Is(err, rotation.ErrNoValue):
		v.trouble = "no value yet"
		return v, nil
	case errors.Is(err, secret.ErrBinary):
		v.trouble = err.Error()
		return v, nil
	case err != nil && v.has(rotation.LabelCurrent):
		return nil, err
	case err != nil:
		v.trouble = err.Error()
		return v, nil
	}
	if v.value, err = secret.ParseValue(read.Value, s.keys); err != nil {
		v.trouble = err.Error()
	}
	for _, text := range secret.Tokens(read.Value, s.keys) {
		v.tokens = append(v.tokens, p.note(text, info.Created))
	}
	return v, nil
}

// note returns the token for a text, which is one in all versions.
func (p *picture) note(text secret.Text, created time.Time) *token {
	for _, known := range p.tokens {
		if known.text.Equal(text) {
			if created.Before(known.since) {
				known.since = created
			}
			return known
		}
	}
	t := &token{text: text, since: created}
	p.tokens = append(p.tokens, t)
	return t
}

func (s *target) askAll(ctx context.Context, tokens []*token) {
	var asking sync.WaitGroup
	places := make(chan struct{}, asked)
	for _, t := range tokens {
		asking.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			s.ask(ctx, t)
		})
	}
	asking.Wait()
}

// ask asks Panther whether a token works. One answer that it does not is not
// the last word.
func (s *target) ask(ctx context.Context, t *token) {
	const looks, callTime = 2, 10 * time.Second
	for i := range looks {
		if i > 0 && !pause(ctx, s.pauses.ask) {
			break
		}
		call, cancel := context.WithTimeout(ctx, callTime)
		err := s.issuer.Check(call, t.text)
		if err == nil {
			t.answer = works
			t.info, _ = s.issuer.Info(call, t.text)
			t.info.Name = printable(t.info.Name, t.text)
			t.info.ID = printable(t.info.ID, t.text)
		}
		cancel()
		if err == nil {
			return
		}
		t.answer, t.summary = unclear, "no clear answer"
		if a, ok := errors.AsType[*rotation.AnswerError](err); ok {
			t.summary = a.Summary
			if a.Answer == rotation.Unauthorized {
				t.answer = refused
			}
		}
	}
	age := time.Since(t.since)
	if t.answer == refused && age >= 0 && age < s.function.propagationTimeout {
		t.answer = tooNew
	}
}

// printable makes text of Panther's fit for a terminal. It never holds the token.
func printable(text string, token secret.Text) string {
	if strings.Contains(text, token.Reveal()) {
		return ""
	}
	const longest = 80
	runes := []rune(plain(text))
	return string(runes[:min(len(runes), longest)])
}

// plain removes control characters: who can write to the log, or label a
// version, must not command the terminal.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.C, r) {
			return -1
		}
		return r
	}, text)
}

// loose lists the living tokens that neither AWSCURRENT nor an unfinished
// rotation holds.
func (p *picture) loose() (loose []*token) {
	for _, t := range p.tokens {
		if t.answer == works && !p.current.holds(t) && !p.pending.holds(t) {
			loose = append(loose, t)
		}
	}
	return loose
}

// deletable lists the living tokens that may be deleted in the console. While
// AWSCURRENT lacks a working token there are none: a rotation may adopt one.
func (p *picture) deletable() []*token {
	if p.current == nil || p.pending != nil || len(p.current.tokens) == 0 ||
		slices.ContainsFunc(p.current.tokens, func(t *token) bool { return t.answer != works }) {
		return nil
	}
	return p.loose()
}

// onlyPending returns a token of an unfinished rotation that may live and that
// AWSCURRENT does not hold, or nil. In doubt a token lives.
func (p *picture) onlyPending() *token {
	if p.pending == nil {
		return nil
	}
	for _, t := range p.pending.tokens {
		if t.answer != refused && !p.current.holds(t) {
			return t
		}
	}
	return nil
}

// labelled returns the version that carries a label, and "" if none does.
func labelled(d *sdk.DescribeSecretOutput, label string) string {
	for id, labels := range d.VersionIdsToStages {
		if slices.Contains(labels, label) {
			return id
		}
	}
	return ""
}

// pendingID returns the version of an unfinished rotation, or "".
func pendingID(d *sdk.DescribeSecretOutput) string {
	id := labelled(d, rotation.LabelPending)
	if slices.Contains(d.VersionIdsToStages[id], rotation.LabelCurrent) {
		return ""
	}
	return id
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ago says how long ago something was.
func ago(at time.Time) string {
	d := time.Since(at)
	switch {
	case at.IsZero():
		return "never"
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

func date(at *time.Time) string {
	if at == nil || aws.ToTime(at).IsZero() {
		return "none"
	}
	return at.UTC().Format(time.DateOnly)
}
