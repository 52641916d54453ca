// Package secret holds what must not be printed: tokens, and the values of
// secret versions that contain them.
//
// [Text] wraps any confidential string. [Value] is the value of one secret
// version, from which the token can be taken and in which it can be replaced
// without touching any other byte.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a [Text] shows wherever it is printed, logged or encoded.
const Redacted = "[redacted]"

// Text is a confidential string: a token, the whole value of a secret version
// or a RotationToken. It prints as [Redacted] with every fmt verb, in slog and
// in JSON; only [Text.Reveal] gives it away, so that a search for Reveal finds
// each place where a secret leaves the program.
//
// The zero Text is the empty string.
type Text struct {
	// A pointer, because fmt reads unexported fields of an enclosing struct
	// without calling their methods: it then finds an address, not the text.
	text *string
}

// NewText makes s confidential.
func NewText(s string) Text { return Text{&s} }

// Reveal returns the confidential string itself.
func (t Text) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// IsEmpty reports whether there is nothing in t.
func (t Text) IsEmpty() bool { return t.Reveal() == "" }

// Equal reports whether both hold the same string. How long it takes says
// nothing about where they differ.
func (t Text) Equal(other Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(other.Reveal())) == 1
}

// Format prints [Redacted], whatever the verb.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// String returns [Redacted].
func (t Text) String() string { return Redacted }

// LogValue gives slog [Redacted].
func (t Text) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText gives every encoder [Redacted].
func (t Text) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
