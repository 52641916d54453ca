package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/spf13/cobra"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

func (t *tool) restoreCommand() *cobra.Command {
	var identity, sealed, logGroup string
	var since time.Duration
	c := t.command("restore SECRET", "Restore a sealed token from the function's log",
		`Opens the values that the function sealed to RECOVERY_RECIPIENT, newest first,
and puts the first living token in the place of a dead one in AWSCURRENT. A token
that Panther refuses is never written, and a living one is never replaced.

Whoever can write to the log can plant a sealed value, because the recipient is
a public key. Compare the name and id that Panther gives for the token.`,
		"  panther-token restore acme/panther --identity key.txt\n  panther-token restore acme/panther --identity key.txt --sealed sealed.json",
		func(ctx context.Context, secretID string) error {
			identities, err := readIdentities(identity)
			if err != nil {
				return err
			}
			s, _, err := t.open(ctx, secretID)
			if err != nil {
				return err
			}
			s.function.logGroup = cmp.Or(logGroup, s.function.logGroup)
			blocks := func() ([]sealedBlock, error) { return s.sealedInLog(ctx, time.Now().Add(-since)) }
			if sealed != "" {
				blocks = func() ([]sealedBlock, error) { return sealedInFile(sealed) }
			}
			return s.restore(ctx, identities, blocks)
		})
	c.Flags().StringVarP(&identity, "identity", "i", "", "file with the private age key of RECOVERY_RECIPIENT (required)")
	c.Flags().StringVar(&sealed, "sealed", "", "file with a sealed value, or with its line of the log, in place of the log")
	c.Flags().StringVar(&logGroup, "log-group", "", "log group to search (default: that of the function)")
	c.Flags().DurationVar(&since, "since", 30*24*time.Hour, "how far back to search the log")
	_ = c.MarkFlagRequired("identity")
	_ = c.MarkFlagFilename("identity")
	_ = c.MarkFlagFilename("sealed")
	return t.yesFlag(c)
}

// sealedBlock is a sealed value and where it was found.
type sealedBlock struct{ armored, from string }

// readIdentities reads private age keys. The errors do not quote the file.
func readIdentities(path string) ([]age.Identity, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the identity: %w", err)
	}
	defer func() { _ = file.Close() }()
	identities, err := age.ParseIdentities(file)
	if err != nil {
		return nil, errors.New("the identity is not a file of private age keys. If a passphrase protects it, decrypt it with age first")
	}
	return identities, nil
}

const sealedLines = `{ $.event = "value_sealed" }`

// sealedInLog returns the sealed values of the secret, newest first.
func (s *target) sealedInLog(ctx context.Context, since time.Time) ([]sealedBlock, error) {
	s.progress("Searching "+s.function.logGroup+" …", "")
	lines, err := s.readLog(ctx, since, sealedLines)
	if err != nil {
		return nil, fmt.Errorf("cannot search the function's log: %w. Give the line with --sealed", err)
	}
	var blocks []sealedBlock
	for i := len(lines) - 1; i >= 0; i-- {
		if lines[i].Event == rotation.EventValueSealed {
			blocks = append(blocks, sealedBlock{lines[i].Sealed, "logged on " + lines[i].at.UTC().Format(time.DateTime) + " UTC"})
		}
	}
	return blocks, nil
}

// sealedIsUnstored reports whether the log may have a value that was sealed
// since AWSCURRENT was made and that no version holds.
func (s *target) sealedIsUnstored(ctx context.Context, p *picture) bool {
	lines, err := s.readLog(ctx, p.current.Created, sealedLines)
	return err != nil || slices.ContainsFunc(lines, func(l line) bool {
		return !slices.ContainsFunc(p.versions, func(v *versionView) bool { return v.ID == l.Version && len(v.tokens) > 0 })
	})
}

func sealedInFile(path string) ([]sealedBlock, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the sealed value: %w", err)
	}
	var l line
	if json.Unmarshal(content, &l) == nil && l.Sealed != "" {
		content = []byte(l.Sealed)
	}
	return []sealedBlock{{string(content), "in " + path}}, nil
}

func unseal(block sealedBlock, identities []age.Identity) (secret.Text, error) {
	opened, err := age.Decrypt(armor.NewReader(bytes.NewReader([]byte(block.armored))), identities...)
	if err != nil {
		return secret.Text{}, err
	}
	value, err := io.ReadAll(io.LimitReader(opened, secret.MaxBytes+1))
	return secret.NewText(string(value)), err
}

func (s *target) restore(ctx context.Context, identities []age.Identity, blocks func() ([]sealedBlock, error)) error {
	s.progress("Asking Panther about the tokens …", "")
	p, err := s.look(ctx)
	if err != nil {
		return err
	}
	slot, err := s.deadSlot(p)
	if err != nil {
		return err
	}
	found, err := blocks()
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return s.noSeal(slot, "no sealed value of this secret was found in "+s.function.logGroup)
	}
	opened := 0
	for _, block := range found {
		value, err := unseal(block, identities)
		if err != nil {
			continue
		}
		opened++
		fresh, err := s.livingIn(ctx, p, value)
		if err != nil {
			return err
		}
		if fresh == nil {
			continue
		}
		s.say("Found a living token%s, %s.", nameOf(fresh), block.from)
		if fresh.info.Name == "" {
			s.say("Panther does not show its name.")
		}
		if err := s.confirm(ctx, "--yes", "Put it as the %s token?", slots[slot]); err != nil {
			return err
		}
		return s.replaceToken(ctx, p, slot, fresh)
	}
	if opened == 0 {
		return refuse("Give the key whose public part is RECOVERY_RECIPIENT.", "none of %d sealed values opens with this identity", len(found))
	}
	return s.noSeal(slot, "no sealed value holds a living token that the secret does not have")
}

func (s *target) noSeal(slot int, what string) error {
	flag := ""
	if slot == 1 {
		flag = " --standby"
	}
	return refuse("Make an API token in the Panther console, then: panther-token put "+s.name+flag, "%s. Nothing was changed", what)
}

// deadSlot returns the slot of AWSCURRENT whose token is dead. It refuses if
// none is, or if that is not certain.
func (s *target) deadSlot(p *picture) (int, error) {
	if err := s.usable(p); err != nil {
		return 0, err
	}
	if p.onlyPending() != nil {
		return 0, refuse("panther-token rotate "+s.name, "AWSPENDING may hold the only living token, so nothing is restored")
	}
	for slot, t := range p.current.tokens {
		switch t.answer {
		case refused:
			return slot, nil
		case unclear:
			return 0, errors.New("Panther gave no clear answer about the " + slots[slot] + " token (" + t.summary + "). Nothing was changed")
		case tooNew:
			return 0, refuse("panther-token status "+s.name, "the %s token may be too new to work. Wait a minute", slots[slot])
		}
	}
	return 0, refuse("panther-token status "+s.name, "every token of AWSCURRENT works, so nothing needs to be restored")
}

// livingIn returns a token of a sealed value that works and that AWSCURRENT does
// not hold, or nil.
func (s *target) livingIn(ctx context.Context, p *picture, value secret.Text) (*token, error) {
	for _, text := range secret.Tokens(value, s.keys) {
		t := &token{text: text}
		for _, held := range p.current.tokens {
			if held.text.Equal(text) {
				t = nil
				break
			}
		}
		if t == nil {
			continue
		}
		s.ask(ctx, t)
		switch t.answer {
		case works:
			return t, nil
		case unclear:
			return nil, errors.New("Panther gave no clear answer about a sealed token (" + t.summary + "). Nothing was changed")
		}
	}
	return nil, ctx.Err()
}
