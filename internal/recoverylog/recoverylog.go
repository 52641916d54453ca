// Package recoverylog is a write-ahead log for a value that exists once: it
// writes the value to the log, sealed to a recovery key, before the value is
// stored in its secret. Whoever holds the key can restore it from the log;
// whoever reads only the log cannot.
//
// The seal is age (https://age-encryption.org/v1), so that the restoring needs
// nothing but the age program and the aws CLI.
package recoverylog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// ErrRecipient is a RECOVERY_RECIPIENT that nothing can be sealed to. Its text
// does not quote the setting, which could be a private key.
var ErrRecipient = errors.New("not an age public key (age1… or age1pq1…); make a pair with age-keygen and give the public one")

// ParseRecipient reads an age public key: X25519, or the post-quantum hybrid.
func ParseRecipient(s string) (age.Recipient, error) {
	if strings.HasPrefix(s, "age1pq1") {
		r, err := age.ParseHybridRecipient(s)
		if err != nil {
			return nil, ErrRecipient
		}
		return r, nil
	}
	r, err := age.ParseX25519Recipient(s)
	if err != nil {
		return nil, ErrRecipient
	}
	return r, nil
}

// Log seals values into a structured log.
type Log struct {
	log       *slog.Logger
	recipient age.Recipient
}

var _ rotation.Sealer = (*Log)(nil)

// New makes a Log that seals to recipient.
func New(log *slog.Logger, recipient age.Recipient) *Log { return &Log{log, recipient} }

// Seal logs value, sealed, with the command that restores it. The line is
// logged at level error, so that no log level switches it off.
func (l *Log) Seal(secretARN, versionID string, value secret.Text) error {
	var block bytes.Buffer
	if err := l.write(&block, value); err != nil {
		return errors.New("age could not seal the value")
	}
	rotation.EventValueSealed.Log(l.log,
		"secret", secretARN,
		"version", versionID,
		"sealed", block.String(),
		"restore", RestoreCommand(secretARN))
	return nil
}

func (l *Log) write(block io.Writer, value secret.Text) error {
	armored := armor.NewWriter(block)
	sealed, err := age.Encrypt(armored, l.recipient)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(sealed, value.Reveal()); err != nil {
		return err
	}
	if err := sealed.Close(); err != nil {
		return err
	}
	return armored.Close()
}

// RestoreCommand returns the command that puts a sealed value into its secret
// as AWSCURRENT. It reads the field "sealed" of the log line, as it stands in
// the log, from the file sealed.json, and the recovery key from key.txt.
func RestoreCommand(secretARN string) string {
	return fmt.Sprintf("jq -r .sealed sealed.json | age -d -i key.txt | aws secretsmanager put-secret-value --secret-id '%s' --secret-string file:///dev/stdin", secretARN)
}
