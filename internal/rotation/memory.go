package rotation

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// memory is what a process remembers from one invocation to the next. A cold
// start begins with an empty one. Secrets are known by name, so that one that
// is deleted and created again gets the token that is held for it.
type memory struct {
	mu        sync.Mutex
	tokens    map[string]heldToken
	rotations map[string]rotated
}

// heldToken is a token that this process got from Panther and that is not
// stored yet.
type heldToken struct {
	nextToken
	retried bool // an attempt to store it failed
}

// rotated is the last rotation of a secret by this process.
type rotated struct {
	versionID string
	at        time.Time
}

func newMemory() *memory {
	return &memory{tokens: map[string]heldToken{}, rotations: map[string]rotated{}}
}

// secretName returns an ARN without the six random characters that Secrets
// Manager appends
// (https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html).
func secretName(id string) string {
	if i := len(id) - 7; strings.HasPrefix(id, "arn:") && i > 0 && id[i] == '-' {
		return id[:i]
	}
	return id
}

func (m *memory) hold(next nextToken) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tokens[secretName(next.secretARN)] = heldToken{nextToken: next}
}

func (m *memory) held(secretID string) (heldToken, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	held, ok := m.tokens[secretName(secretID)]
	return held, ok
}

// retry notes that an attempt to store what is held failed.
func (m *memory) retry(secretID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if held, ok := m.tokens[secretName(secretID)]; ok {
		held.retried = true
		m.tokens[secretName(secretID)] = held
	}
}

// forget removes a token, unless another one is held by now.
func (m *memory) forget(next nextToken) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if held, ok := m.tokens[secretName(next.secretARN)]; ok && held.token.Equal(next.token) {
		delete(m.tokens, secretName(next.secretARN))
	}
}

func (m *memory) all() []nextToken {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []nextToken
	for held := range maps.Values(m.tokens) {
		all = append(all, held.nextToken)
	}
	return slices.Clip(all)
}

// noteRotation notes when Panther made the token that the version has now.
func (m *memory) noteRotation(next nextToken, versionID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rotations[secretName(next.secretARN)] = rotated{versionID, next.made}
}

// sinceRotation returns how long ago Panther made the version's token, or 0 if
// this process does not know.
func (m *memory) sinceRotation(secretID, versionID string) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rotations[secretName(secretID)]
	if r.versionID != versionID || r.at.IsZero() {
		return 0
	}
	return time.Since(r.at)
}
