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
	ErrBOM          = errors.New("the secret value has a byte order mark (U+FEFF), which an editor or PowerShell added; store it without")
	ErrNotObject    = errors.New("the secret value is JSON but not an object, or was quoted twice; store a JSON object or the token alone")
	ErrNotJSON      = errors.New("the secret value starts like a JSON object but is not valid JSON")
	ErrNoKey        = errors.New("the JSON object does not have the token's key (SECRET_TOKEN_KEY)")
	ErrDuplicateKey = errors.New("the JSON object has a token's key more than once, so readers would disagree on the token")
	ErrNotString    = errors.New("the token in the JSON object is not a string")
	ErrNotToken     = errors.New("the token is empty or has characters that an HTTP header cannot carry (white space, control or non-ASCII characters)")
	ErrStandby      = errors.New("the standby token is not a string, is empty or has characters that an HTTP header cannot carry; store a second API token there, or remove its key")
	ErrSameToken    = errors.New("the same token is stored under both keys; store a second API token as the standby")
	ErrTooLarge     = fmt.Errorf("the next value may exceed the %d bytes that Secrets Manager stores", MaxBytes)
)

// Keys are the keys under which a JSON object holds its tokens.
type Keys struct {
	// Token is the key of the active token, which readers use.
	Token string
	// Standby is the key of the second token. An object that has it holds two
	// tokens in turn; one that does not holds one.
	Standby string
}

// Value is the value of a secret version: one token, alone or in a JSON
// object, or an object with two tokens in turn. It knows which bytes are
// tokens, and what a rotation does with them.
type Value struct {
	text    Text
	quoted  bool // the tokens are JSON strings
	active  slot
	standby *slot // nil: one token
}

// slot is the place of a token in the text.
type slot struct {
	start, end int // bytes, quotes included
	token      Text
}

// ParseValue finds the tokens in text. If text is a JSON object, they are the
// strings under keys; if not, the token is text itself without the white space
// around it. The error is one of the errors above. It quotes neither text nor keys.
func ParseValue(text Text, keys Keys) (Value, error) {
	s := text.Reveal()
	trimmed := strings.TrimSpace(s)
	if trimmed == "" {
		return Value{}, ErrEmpty
	}
	v := Value{text: text}
	if !strings.HasPrefix(trimmed, "{") {
		start := strings.Index(s, trimmed)
		v.active = slot{start, start + len(trimmed), NewText(trimmed)}
		if err := checkPlain(trimmed); err != nil {
			return Value{}, err
		}
		return v, nil
	}
	members, err := findMembers(s, keys)
	if err != nil {
		return Value{}, err
	}
	v.quoted = true
	v.active, err = members.token(s, keys.Token)
	if err != nil {
		return Value{}, err
	}
	standby, err := members.token(s, keys.Standby)
	switch {
	case errors.Is(err, ErrBOM):
		return Value{}, err
	case errors.Is(err, ErrNoKey):
	case err != nil:
		return Value{}, ErrStandby
	case standby.token.Equal(v.active.token):
		return Value{}, ErrSameToken
	default:
		v.standby = &standby
	}
	return v, nil
}

// checkPlain checks a value that is no JSON object.
func checkPlain(token string) error {
	// A shell that quotes a second time adds one of these in front.
	inside := strings.TrimLeft(token, "'`\\")
	switch {
	case hasBOM(token):
		return ErrBOM
	case inside != "" && strings.Contains(`"[{`, inside[:1]):
		return ErrNotObject
	case !FitsHeader(token):
		return ErrNotToken
	}
	return nil
}

// Tokens returns every token that text has in the places of keys, the active
// one first, also where ParseValue would refuse the text. It is for versions
// that are only searched.
func Tokens(text Text, keys Keys) []Text {
	s := text.Reveal()
	if !strings.HasPrefix(strings.TrimSpace(s), "{") {
		v, err := ParseValue(text, keys)
		if err != nil {
			return nil
		}
		return []Text{v.Active()}
	}
	members, err := findMembers(s, keys)
	if err != nil {
		return nil
	}
	var tokens []Text
	for _, key := range []string{keys.Token, keys.Standby} {
		if found, err := members.token(s, key); err == nil {
			tokens = append(tokens, found.token)
		}
	}
	return tokens
}

// members has the place of the value of each key that was looked for and found.
// A key that was found with a byte order mark in it has one in front here.
type members map[string][2]int

const byteOrderMark = "\ufeff"

// findMembers walks the object's own keys with encoding/json, which reports
// where each value ends, so that escaped keys and odd spacing are understood
// as every other JSON reader understands them.
func findMembers(s string, keys Keys) (members, error) {
	if !json.Valid([]byte(s)) {
		if json.Valid([]byte(byteOrderMarks.Replace(s))) {
			return nil, ErrBOM
		}
		return nil, ErrNotJSON
	}
	dec := json.NewDecoder(strings.NewReader(s))
	if _, err := dec.Token(); err != nil {
		return nil, ErrNotJSON
	}
	found := members{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, ErrNotJSON
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, ErrNotJSON
		}
		key, _ := name.(string)
		if hasBOM(key) {
			found[byteOrderMark+byteOrderMarks.Replace(key)] = [2]int{}
		}
		if key != keys.Token && key != keys.Standby {
			continue
		}
		if _, twice := found[key]; twice {
			return nil, ErrDuplicateKey
		}
		end := int(dec.InputOffset())
		found[key] = [2]int{end - len(raw), end}
	}
	return found, nil
}

// token returns the token under key.
func (m members) token(s, key string) (slot, error) {
	at, ok := m[key]
	if !ok {
		if _, marked := m[byteOrderMark+key]; marked {
			return slot{}, ErrBOM
		}
		return slot{}, ErrNoKey
	}
	raw := s[at[0]:at[1]]
	var token string
	if raw[0] != '"' || json.Unmarshal([]byte(raw), &token) != nil {
		return slot{}, ErrNotString
	}
	switch {
	case hasBOM(token):
		return slot{}, ErrBOM
	case !FitsHeader(token):
		return slot{}, ErrNotToken
	}
	return slot{at[0], at[1], NewText(token)}, nil
}

// byteOrderMarks removes each byte order mark, also one that was read as
// Latin-1.
var byteOrderMarks = strings.NewReplacer(byteOrderMark, "", "\u00ef\u00bb\u00bf", "")

func hasBOM(s string) bool { return byteOrderMarks.Replace(s) != s }

// FitsHeader reports whether an HTTP header can carry token as it is: visible
// ASCII characters, and at least one.
func FitsHeader(token string) bool {
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return false
		}
	}
	return token != ""
}

// Active returns the token that readers use.
func (v Value) Active() Text { return v.active.token }

// Standby returns the second token, and whether there is one.
func (v Value) Standby() (Text, bool) {
	if v.standby == nil {
		return Text{}, false
	}
	return v.standby.token, true
}

// Tokens returns the token or both, the active one first.
func (v Value) Tokens() []Text {
	if v.standby == nil {
		return []Text{v.active.token}
	}
	return []Text{v.active.token, v.standby.token}
}

// Holds reports whether token is one of the tokens in v.
func (v Value) Holds(token Text) bool {
	for _, t := range v.Tokens() {
		if t.Equal(token) {
			return true
		}
	}
	return false
}

// Next returns the token that a rotation replaces: the standby if there is
// one, so that the active token keeps working; otherwise the only token.
func (v Value) Next() Text {
	if v.standby != nil {
		return v.standby.token
	}
	return v.active.token
}

// Rotated returns the text of v after replaced was rotated into fresh. Where
// replaced is the standby, fresh becomes active and the active token the
// standby; where it is the active token, fresh takes its place. It reports
// false if v does not hold replaced.
func (v Value) Rotated(replaced, fresh Text) (Text, bool) {
	switch {
	case v.standby != nil && v.standby.token.Equal(replaced):
		return v.WithTokens(fresh, v.active.token), true
	case v.active.token.Equal(replaced):
		standby, _ := v.Standby()
		return v.WithTokens(fresh, standby), true
	}
	return Text{}, false
}

// WithTokens returns the text of v with other tokens and every other byte as
// it was. standby is not used where v holds one token. It takes any token, also
// one that ParseValue would refuse: a token that Panther gave out once must be
// storable whatever it looks like.
func (v Value) WithTokens(active, standby Text) Text {
	s := v.text.Reveal()
	first, second := v.active, v.standby
	if second == nil {
		return NewText(s[:first.start] + v.encode(active) + s[first.end:])
	}
	if first.start < second.start {
		return NewText(s[:first.start] + v.encode(active) + s[first.end:second.start] + v.encode(standby) + s[second.end:])
	}
	return NewText(s[:second.start] + v.encode(standby) + s[second.end:first.start] + v.encode(active) + s[first.end:])
}

// AddStandby returns the text of v with a second token behind the first, under
// key, and every other byte as it was. It reports false if v is no JSON object,
// or has a standby already.
func (v Value) AddStandby(key string, standby Text) (Text, bool) {
	if !v.quoted || v.standby != nil {
		return Text{}, false
	}
	s := v.text.Reveal()
	return NewText(s[:v.active.end] + ", " + v.encode(NewText(key)) + ": " + v.encode(standby) + s[v.active.end:]), true
}

func (v Value) encode(token Text) string {
	if !v.quoted {
		return token.Reveal()
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(token.Reveal()) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

// headroom is the length of the token that CheckRoom reckons with, unless the
// one in the value is longer already. Panther's tokens are far shorter.
const headroom = 512

// CheckRoom returns ErrTooLarge if a new token of usual length would make the
// value larger than Secrets Manager takes.
func (v Value) CheckRoom() error {
	next := v.Next()
	standIn := strings.Repeat("x", max(len(next.Reveal()), headroom))
	if after, _ := v.Rotated(next, NewText(standIn)); len(after.Reveal()) > MaxBytes {
		return ErrTooLarge
	}
	return nil
}
