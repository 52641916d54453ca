package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// MaxBytes is the largest value that Secrets Manager stores
// (https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
const MaxBytes = 65536

// What can be wrong with the value of a secret. All of them are found before
// a token is rotated.
var (
	ErrEmpty        = errors.New("the secret value is empty")
	ErrBinary       = errors.New("the secret holds SecretBinary; store the token as SecretString")
	ErrNotJSON      = errors.New("the secret value starts like a JSON object but is not valid JSON")
	ErrNoKey        = errors.New("the JSON object does not have the token's key")
	ErrDuplicateKey = errors.New("the JSON object has the token's key more than once, so readers would disagree on the token")
	ErrNotString    = errors.New("the token in the JSON object is not a string")
	ErrNotToken     = errors.New("the token is empty or has characters that an HTTP header cannot carry (white space, control or non-ASCII characters)")
	ErrTooLarge     = fmt.Errorf("the secret value would be larger than the %d bytes that Secrets Manager stores", MaxBytes)
)

// Value is the value of a secret version: the token itself, or a JSON object
// with the token under a key. It knows which bytes are the token.
type Value struct {
	before, token, after Text
	quoted               bool
}

// ParseValue finds the token in text. If text is a JSON object, the token is
// the string under key; if not, it is text itself without the white space
// around it. The error is one of the errors above and quotes neither text nor key.
func ParseValue(text Text, key string) (Value, error) {
	s := text.Reveal()
	trimmed := strings.TrimSpace(s)
	if trimmed == "" {
		return Value{}, ErrEmpty
	}
	var v Value
	if strings.HasPrefix(trimmed, "{") {
		var err error
		if v, err = parseObject(s, key); err != nil {
			return Value{}, err
		}
	} else {
		start := strings.Index(s, trimmed)
		v = Value{before: NewText(s[:start]), token: NewText(trimmed), after: NewText(s[start+len(trimmed):])}
	}
	if !fitsHeader(v.token.Reveal()) {
		return Value{}, ErrNotToken
	}
	return v, nil
}

// parseObject walks the object's own keys with encoding/json, which tells
// where each value ends, so that escaped keys and odd spacing are understood
// as every other JSON reader understands them.
func parseObject(s, key string) (Value, error) {
	if !json.Valid([]byte(s)) {
		return Value{}, ErrNotJSON
	}
	dec := json.NewDecoder(strings.NewReader(s))
	if _, err := dec.Token(); err != nil {
		return Value{}, ErrNotJSON
	}
	var (
		raw   json.RawMessage
		found bool
		v     Value
	)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return Value{}, ErrNotJSON
		}
		if err := dec.Decode(&raw); err != nil {
			return Value{}, ErrNotJSON
		}
		if name != key {
			continue
		}
		if found {
			return Value{}, ErrDuplicateKey
		}
		found = true
		if raw[0] != '"' {
			return Value{}, ErrNotString
		}
		var token string
		if err := json.Unmarshal(raw, &token); err != nil {
			return Value{}, ErrNotJSON
		}
		end := int(dec.InputOffset())
		v = Value{
			before: NewText(s[:end-len(raw)]),
			token:  NewText(token),
			after:  NewText(s[end:]),
			quoted: true,
		}
	}
	if !found {
		return Value{}, ErrNoKey
	}
	return v, nil
}

func fitsHeader(token string) bool {
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return false
		}
	}
	return token != ""
}

// Token returns the token in v.
func (v Value) Token() Text { return v.token }

// WithToken returns the text of v with another token and every other byte as
// it was. It takes any token, also one that ParseValue would refuse: a token
// that Panther gave out once must be storable whatever it looks like.
func (v Value) WithToken(token Text) Text {
	s := token.Reveal()
	if v.quoted {
		s = quote(s)
	}
	return NewText(v.before.Reveal() + s + v.after.Reveal())
}

func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

// headroom is the length of the token that CheckRoom reckons with, unless the
// one in the value is longer already. Panther's tokens are far shorter.
const headroom = 512

// CheckRoom returns ErrTooLarge if a new token of usual length would make the
// value larger than Secrets Manager takes.
func (v Value) CheckRoom() error {
	length := len(v.before.Reveal()) + max(len(v.token.Reveal()), headroom) + len(v.after.Reveal())
	if v.quoted {
		length += len(`""`)
	}
	if length > MaxBytes {
		return ErrTooLarge
	}
	return nil
}
