package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"panther-token-rotation/internal/health"
	"panther-token-rotation/internal/rotation"
)

func (t *tool) statusCommand() *cobra.Command {
	var asJSON bool
	c := t.command("status SECRET", "Show what is wrong with a secret and the one command that comes next",
		`For each version it shows labels, age and what Panther says of its tokens:
works, refused, too new (refused, but it may only need a minute) or unclear.
It changes nothing. Exit codes: 0 healthy, 1 a problem, 2 could not look.`,
		"  panther-token status acme/panther\n  panther-token status acme/panther --json | jq .next",
		func(ctx context.Context, secretID string) error {
			r, err := t.report(ctx, secretID)
			if err != nil {
				return err
			}
			t.clear()
			if asJSON {
				encoder := json.NewEncoder(t.stdout)
				encoder.SetIndent("", "  ")
				err = encoder.Encode(r)
			} else {
				t.print(r)
			}
			if err == nil && !r.Healthy {
				return errUnhealthy
			}
			return err
		})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// report is what status found, as --json prints it.
type report struct {
	Secret      string          `json:"secret"`
	Healthy     bool            `json:"healthy"`
	Function    string          `json:"function"`
	Panther     string          `json:"panther"`
	Rotation    rotationReport  `json:"rotation"`
	Versions    []versionReport `json:"versions"`
	LooseTokens []tokenReport   `json:"looseTokens"`
	Problems    []problemReport `json:"problems"`
	LastFailure *failureReport  `json:"lastFailure,omitempty"`
	LogUnread   string          `json:"logUnread,omitempty"`
	NextCommand string          `json:"next,omitempty"`
	Because     string          `json:"because,omitempty"`
}

type rotationReport struct {
	Enabled bool       `json:"enabled"`
	Running bool       `json:"unfinished"`
	Last    *time.Time `json:"last"`
	Next    *time.Time `json:"next"`
}

type versionReport struct {
	ID      string        `json:"id"`
	Labels  []string      `json:"labels"`
	Created time.Time     `json:"created"`
	Tokens  []tokenReport `json:"tokens"`
	Trouble string        `json:"trouble,omitempty"`
}

type tokenReport struct {
	Version string     `json:"version"`
	Slot    string     `json:"slot"`
	Answer  answer     `json:"answer"`
	Summary string     `json:"summary,omitempty"`
	Name    string     `json:"name,omitempty"`
	ID      string     `json:"id,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
}

type problemReport struct {
	Kind rotation.Kind `json:"kind"`
	What string        `json:"what"`
}

type failureReport struct {
	At    time.Time `json:"at"`
	Step  string    `json:"step"`
	Kind  string    `json:"kind"`
	Error string    `json:"error"`
}

func (t *tool) report(ctx context.Context, secretID string) (*report, error) {
	s, described, err := t.open(ctx, secretID)
	if err != nil {
		return nil, err
	}
	t.progress("Asking Panther about the tokens …", "")
	r := &report{Secret: s.arn, Function: s.function.arn, Panther: s.issuer.Host(), Versions: []versionReport{}, LooseTokens: []tokenReport{}, Problems: []problemReport{}}
	problems, err := s.check(ctx)
	if err != nil {
		return nil, err
	}
	p, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	r.Rotation = rotationReport{aws.ToBool(described.RotationEnabled), p.pending != nil, described.LastRotatedDate, described.NextRotationDate}
	for _, v := range p.versions {
		r.Versions = append(r.Versions, v.report())
	}
	for _, loose := range p.deletable() {
		r.LooseTokens = append(r.LooseTokens, p.locate(loose))
	}
	var failure *line
	if p.pending != nil {
		if failure, err = s.lastFailure(ctx, p.pending.ID); err != nil {
			r.LogUnread = err.Error()
		}
	}
	if failure != nil && p.current != nil && failure.at.Before(p.current.Created) {
		failure = nil // a value was put since
	}
	if failure != nil {
		r.LastFailure = &failureReport{failure.at, failure.Step, failure.Kind, failure.Error}
	}
	for _, found := range problems {
		r.Problems = append(r.Problems, problemReport{found.Kind, found.What})
	}
	p.sealed = s.function.seals() && p.current != nil && s.sealedIsUnstored(ctx, p)
	step := s.next(p, problems, failure)
	r.NextCommand, r.Because = step.command, step.because
	r.Healthy = len(problems) == 0 && failure == nil && (step.command == "" || step.optional)
	return r, nil
}

// check makes the daily check now.
func (s *target) check(ctx context.Context) ([]health.Problem, error) {
	return health.Checker{
		Store: s.store, Issuer: s.issuer, Expirer: s.issuer, Keys: s.keys,
		FunctionARN: cmp.Or(s.function.arn, "FUNCTION"), PropagationTimeout: s.function.propagationTimeout,
		Pause: s.pauses.ask,
	}.Check(ctx, s.arn)
}

func (v *versionView) report() versionReport {
	r := versionReport{ID: v.ID, Labels: v.Labels, Created: v.Created, Trouble: v.trouble, Tokens: []tokenReport{}}
	for i, t := range v.tokens {
		r.Tokens = append(r.Tokens, t.report(v, i))
	}
	return r
}

func (t *token) report(v *versionView, slot int) tokenReport {
	r := tokenReport{Version: v.ID, Slot: slots[slot], Answer: t.answer, Summary: t.summary, Name: t.info.Name, ID: t.info.ID}
	if !t.info.Expires.IsZero() {
		r.Expires = &t.info.Expires
	}
	return r
}

// locate reports a token with the newest version that holds it.
func (p *picture) locate(wanted *token) tokenReport {
	for _, v := range p.versions {
		for i, t := range v.tokens {
			if t == wanted {
				return t.report(v, i)
			}
		}
	}
	return tokenReport{}
}

func (t *tool) print(r *report) {
	out := func(format string, args ...any) { fmt.Fprintf(t.stdout, format+"\n", args...) }
	state := "on, next " + date(r.Rotation.Next) + ", last " + date(r.Rotation.Last)
	if !r.Rotation.Enabled {
		state = "off"
	}
	if r.Rotation.Running {
		state += ", one is not finished"
	}
	out("Secret    %s\nRotation  %s\nPanther   %s\n", r.Secret, state, r.Panther)
	for _, v := range r.Versions {
		labels := plain(strings.Join(v.Labels, " "))
		if labels == "" {
			labels = "(no label)"
		}
		out("%s  %s, %s", t.bold(labels), v.ID, ago(v.Created))
		for _, token := range v.Tokens {
			out("  %-8s %s", token.Slot, t.describe(token))
		}
		if v.Trouble != "" {
			out("  %s", v.Trouble)
		}
	}
	out("")
	for _, p := range r.Problems {
		out("%s  %s", t.bad(string(p.Kind)), sentence(p.What))
	}
	if f := r.LastFailure; f != nil {
		out("%s  failed in %s, %s: %s", t.bad(f.Kind), f.Step, ago(f.At), f.Error)
	}
	if r.LogUnread != "" {
		out("The function's log could not be read: %s", sentence(r.LogUnread))
	}
	for _, token := range r.LooseTokens {
		out("A living token is in no slot%s. If nothing uses it, delete it in the Panther console.", named(token))
	}
	if r.Healthy {
		out("%s", t.good("Healthy."))
	}
	if r.NextCommand != "" {
		out("Next: %s\n      %s", t.bold(r.NextCommand), r.Because)
	}
}

func (t *tool) describe(token tokenReport) string {
	s := string(token.Answer)
	switch token.Answer {
	case works:
		s = t.good(s)
	case refused:
		s = t.bad(s)
	}
	if token.Summary != "" {
		s += " (" + token.Summary + ")"
	}
	if token.Name != "" || token.ID != "" {
		s += named(token)
	}
	if token.Expires != nil {
		s += ", expires " + date(token.Expires)
	}
	return s
}

// named says what Panther calls a token.
func named(t tokenReport) string {
	if t.Name == "" && t.ID == "" {
		return " (version " + t.Version + ", " + t.Slot + ")"
	}
	return fmt.Sprintf(" (%q, id %s)", t.Name, t.ID)
}
