package panther

import (
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"time"
)

// Status is what the API knows of a token's value at this moment.
type Status string

const (
	// Unknown: never existed here.
	Unknown Status = "unknown"
	// Living: accepted.
	Living Status = "living"
	// Propagating: issued, not accepted yet.
	Propagating Status = "propagating"
	// Dead: rotated or revoked, never accepted again.
	Dead Status = "dead"
)

var errUnauthorized = errors.New("unauthorized")

// apiToken is what has a name in Panther's console; rotation gives it a new
// value.
type apiToken struct {
	id        string
	name      string
	createdAt time.Time
	rotatedAt time.Time // zero: never
	expiresAt *time.Time
	values    []*value // oldest first
}

type value struct {
	text      string
	validFrom time.Time
	diesAt    time.Time // zero: not yet known
}

func (v *value) status(now time.Time) Status {
	switch {
	case !v.diesAt.IsZero() && !now.Before(v.diesAt):
		return Dead
	case now.Before(v.validFrom):
		return Propagating
	}
	return Living
}

// die ends the value at a moment, unless it ends before.
func (v *value) die(at time.Time) {
	if v.diesAt.IsZero() || at.Before(v.diesAt) {
		v.diesAt = at
	}
}

// issue gives the token another value: 52 letters and digits, 256 random bits.
func (t *apiToken) issue(validFrom time.Time) *value {
	v := &value{text: rand.Text() + rand.Text(), validFrom: validFrom}
	t.values = append(t.values, v)
	return v
}

// NewToken makes a token and returns its value, which works at once. It is what
// an administrator does in Panther's console.
func (a *API) NewToken(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	t := &apiToken{id: "token-" + strconv.Itoa(len(a.tokens)+1), name: name, createdAt: now}
	a.tokens = append(a.tokens, t)
	return t.issue(now).text
}

// SetExpiry sets when a token expires, as an administrator does who makes it.
// The stand-in says the date, and does not end the token then.
func (a *API) SetExpiry(value string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t, _ := a.find(value); t != nil {
		t.expiresAt = &at
	}
}

// Token is what Panther's console shows of an API token.
type Token struct {
	ID, Name string
	Created  time.Time
	// Status is that of the newest value.
	Status Status
}

// Tokens lists all tokens, oldest first.
func (a *API) Tokens() []Token {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []Token
	for _, t := range a.tokens {
		list = append(list, Token{t.id, t.name, t.createdAt, t.values[len(t.values)-1].status(time.Now())})
	}
	return list
}

// ID returns the id of the token that has or had this value, empty if there is
// none.
func (a *API) ID(value string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, _ := a.find(value)
	if t == nil {
		return ""
	}
	return t.id
}

// Delete ends the token with this id, with all its values, and reports whether
// there is one. It is what an administrator does in Panther's console.
func (a *API) Delete(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tokens {
		if t.id == id {
			t.end()
			return true
		}
	}
	return false
}

func (t *apiToken) end() {
	now := time.Now()
	for _, v := range t.values {
		v.die(now)
	}
}

// SetPropagation sets how long values that are issued from now on are refused.
// One that is refused now works after that time at the latest.
func (a *API) SetPropagation(delay time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.options.PropagationDelay = delay
	latest := time.Now().Add(delay)
	for _, t := range a.tokens {
		for _, v := range t.values {
			if v.validFrom.After(latest) {
				v.validFrom = latest
			}
		}
	}
}

// Revoke ends the token that has or had this value, with all its values. It is
// what an administrator does in Panther's console. An unknown value is ignored.
func (a *API) Revoke(value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, _ := a.find(value)
	if t != nil {
		t.end()
	}
}

// Status says what the API would make of a value now.
func (a *API) Status(value string) Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, v := a.find(value)
	if v == nil {
		return Unknown
	}
	return v.status(time.Now())
}

// Issued lists every value that ever existed here: what to look for in logs.
func (a *API) Issued() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var issued []string
	for _, t := range a.tokens {
		for _, v := range t.values {
			issued = append(issued, v.text)
		}
	}
	return issued
}

// rotate gives the caller's token a new value and returns a copy of the token
// with the value. Of the values before, only the caller's may have a grace.
func (a *API) rotate(caller string) (apiToken, string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	t, old := a.find(caller)
	if old == nil || old.status(now) != Living {
		return apiToken{}, "", errUnauthorized
	}
	for _, v := range t.values {
		if v == old {
			v.die(now.Add(a.options.OldTokenGrace))
		} else {
			v.die(now)
		}
	}
	t.rotatedAt = now
	fresh := t.issue(now.Add(a.options.PropagationDelay))
	return *t, fresh.text, nil
}

// find returns the token and the value of a text, nil if there is none. The
// caller holds the lock.
func (a *API) find(text string) (*apiToken, *value) {
	for _, t := range a.tokens {
		i := slices.IndexFunc(t.values, func(v *value) bool { return v.text == text })
		if i >= 0 {
			return t, t.values[i]
		}
	}
	return nil, nil
}
