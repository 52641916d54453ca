package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smithyrand "github.com/aws/smithy-go/rand"
	"github.com/spf13/cobra"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

func (t *tool) putCommand() *cobra.Command {
	var standby bool
	c := t.command("put SECRET", "Put a new API token into a secret, as the active token or the standby",
		`The token comes from a prompt without echo, or from the first line of stdin.
Make it in the Panther console, with the same permissions and CIDR blocks. Only
the token changes in the value. --standby adds the key where it is missing.

Refused are a token that Panther does not accept, one that the secret holds
already, and a secret that changed meanwhile. Secrets Manager has no conditional
write: what is compared is the version of AWSCURRENT directly before and after
the write, a window of one request.`,
		"  panther-token put acme/panther\n  pbpaste | panther-token put acme/panther --standby",
		func(ctx context.Context, secretID string) error {
			s, _, err := t.open(ctx, secretID)
			if err != nil {
				return err
			}
			return s.put(ctx, standby)
		})
	c.Flags().BoolVar(&standby, "standby", false, "put the standby token")
	return c
}

func (s *target) put(ctx context.Context, standby bool) error {
	s.progress("Asking Panther about the tokens …", "")
	p, err := s.look(ctx)
	if err != nil {
		return err
	}
	if err := s.mayPut(ctx, p, standby); err != nil {
		return err
	}
	name := "active token"
	if standby {
		name = "standby token"
	}
	s.say("Secret %s, %s. Panther: %s", s.name, name, s.issuer.Host())
	text, err := s.readToken(ctx, "New "+name+" (not shown)")
	if err != nil {
		return err
	}
	fresh, err := s.accepted(ctx, p, text)
	if err != nil {
		return err
	}
	slot := 0
	if standby {
		slot = 1
	}
	return s.replaceToken(ctx, p, slot, fresh)
}

// mayPut refuses a put that could strand a token or cannot succeed.
func (s *target) mayPut(ctx context.Context, p *picture, standby bool) error {
	if err := s.usable(p); err != nil {
		return err
	}
	if p.onlyPending() != nil {
		return refuse("panther-token rotate "+s.name, "AWSPENDING may hold the only living token, and a put would abandon it")
	}
	if p.pending == nil || !standby {
		return nil
	}
	// The standby is dead by design until the rotation ends. Once the function
	// has found out that it is lost, a new one is the only way on.
	failure, err := s.lastFailure(ctx, p.pending.ID)
	if err != nil {
		return fmt.Errorf("a rotation is not finished, and only the function's log says whether its standby is lost: %w", err)
	}
	if failure != nil && len(p.pending.tokens) == 0 &&
		(failure.Kind == string(rotation.StandbyLost) || failure.Kind == string(rotation.StandbyRefused)) {
		return nil
	}
	return refuse("panther-token rotate "+s.name, "a rotation is not finished, and it replaces the standby. Rotate first")
}

// usable refuses a secret in whose value no token can be replaced.
func (s *target) usable(p *picture) error {
	switch {
	case p.described.DeletedDate != nil:
		return refuse("aws secretsmanager restore-secret --secret-id "+s.name, "the secret is scheduled for deletion")
	case p.current == nil:
		return refuse("aws secretsmanager put-secret-value --secret-id "+s.name+" --secret-string file://value", "no version of the secret is AWSCURRENT")
	case p.current.trouble != "":
		return refuse("aws secretsmanager put-secret-value --secret-id "+s.name+" --secret-string file://value", "the AWSCURRENT value holds no token to replace: %s", p.current.trouble)
	}
	return nil
}

// accepted asks Panther about a token that a person gave.
func (s *target) accepted(ctx context.Context, p *picture, text secret.Text) (*token, error) {
	if text.IsEmpty() {
		return nil, refuse("", "no token was given. Nothing was changed")
	}
	if p != nil {
		for i, held := range p.current.tokens {
			if held.text.Equal(text) {
				return nil, refuse("Make another API token in the Panther console.", "the secret holds this token already, as the %s token", slots[i])
			}
		}
	}
	s.progress("Asking Panther about the new token …", "")
	fresh := &token{text: text}
	s.ask(ctx, fresh)
	switch fresh.answer {
	case works:
		return fresh, ctx.Err()
	case unclear:
		return nil, errors.New("Panther gave no clear answer about the token (" + fresh.summary + "). Nothing was changed")
	}
	return nil, refuse("Wait a minute if the token is new. Check its CIDR blocks and that "+s.issuer.Host()+" is its Panther.", "Panther refuses the token (%s). Nothing was changed", fresh.summary)
}

// replaceToken puts a token into a slot of AWSCURRENT.
func (s *target) replaceToken(ctx context.Context, p *picture, slot int, fresh *token) error {
	v := p.current.value
	old, two := v.Standby()
	text, ok := secret.Text{}, true
	switch {
	case slot == 0:
		text = v.WithTokens(fresh.text, old)
		old = v.Active()
	case two:
		text = v.WithTokens(v.Active(), fresh.text)
	default:
		text, ok = v.AddStandby(s.keys.Standby, fresh.text)
	}
	if !ok {
		return refuse("", "the value is a plain token, not a JSON object, so it cannot hold a standby")
	}
	if len(text.Reveal()) > secret.MaxBytes {
		return secret.ErrTooLarge
	}
	if err := s.replace(ctx, p, text); err != nil {
		return err
	}
	s.say("%s The new %s token is stored and works.", s.good("Done."), slots[slot])
	for _, t := range p.current.tokens {
		if t.text.Equal(old) && t.answer == works {
			s.say("The token that was replaced still works%s. Delete it in the Panther console when no reader uses it.", nameOf(t))
		}
	}
	return nil
}

// longestWrite bounds a write, which Ctrl-C does not interrupt.
const longestWrite = 30 * time.Second

// replace puts a value as AWSCURRENT. It refuses if the labels moved since p.
//
// Secrets Manager has no conditional write. So the labels are compared directly
// before the write, and afterwards AWSPREVIOUS shows which version was replaced.
// Between them is the time of one request. Once begun, the write is not
// interrupted.
func (s *target) replace(ctx context.Context, p *picture, value secret.Text) error {
	id, err := smithyrand.NewUUID(smithyrand.Reader).GetUUID()
	if err != nil {
		return err
	}
	now, err := s.describe(ctx)
	if err != nil {
		return err
	}
	if changed(p, now) {
		return refuse("panther-token status "+s.name, "the secret changed meanwhile. Nothing was written")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestWrite)
	defer cancel()
	s.interrupted = "The value may have been written. Look at it with: panther-token status " + s.name
	put := rotation.Put{SecretARN: s.arn, VersionID: id, Labels: []string{rotation.LabelCurrent}, Value: value}
	err = s.store.Put(ctx, put)
	for i := 0; i < 2 && errors.Is(err, rotation.ErrNoAnswer); i++ {
		err = s.store.Put(ctx, put) // the same version and value: it changes nothing twice
	}
	if errors.Is(err, rotation.ErrNoAnswer) {
		return errors.New("the write got no answer, so it may or may not have happened. Try: panther-token status " + s.name)
	}
	if err != nil {
		return err
	}
	s.interrupted = "The value was written."
	after, err := s.describe(ctx)
	switch {
	case err != nil:
		return errors.New("the value was written, but another write at that moment cannot be ruled out. Try: panther-token status " + s.name)
	case labelled(after, rotation.LabelCurrent) != id:
		return refuse("panther-token status "+s.name, "the value was written, but another value became AWSCURRENT after it")
	case p.current != nil && labelled(after, rotation.LabelPrevious) != p.current.ID:
		return refuse("panther-token status "+s.name, "the value was written, but it replaced version %s, which became AWSCURRENT in this moment. Compare the two", labelled(after, rotation.LabelPrevious))
	}
	return nil
}

// changed reports whether AWSCURRENT or an unfinished rotation moved.
func changed(p *picture, now *sdk.DescribeSecretOutput) bool {
	current, pending := "", ""
	if p.current != nil {
		current = p.current.ID
	}
	if p.pending != nil {
		pending = p.pending.ID
	}
	return labelled(now, rotation.LabelCurrent) != current || pendingID(now) != pending
}

// readCurrent reads AWSCURRENT without asking Panther.
func (s *target) readCurrent(ctx context.Context) (*versionView, error) {
	read, err := s.store.ReadCurrent(ctx, s.arn)
	if err != nil {
		return nil, err
	}
	v := &versionView{VersionInfo: read.VersionInfo}
	if v.value, err = secret.ParseValue(read.Value, s.keys); err != nil {
		v.trouble = err.Error()
	}
	return v, nil
}

func nameOf(t *token) string {
	if t.info.Name == "" && t.info.ID == "" {
		return ""
	}
	return named(tokenReport{Name: t.info.Name, ID: t.info.ID})
}
