package rotation

import (
	"slices"
	"sync"
	"time"
)

// memory is what a process remembers from one invocation to the next. A cold
// start begins with an empty one.
type memory struct {
	mu       sync.Mutex
	unstored map[string][]unstored  // secret ARN → values that are not stored yet, oldest first
	switches map[string]tokenSwitch // secret ARN → the last switch to a new token
}

// tokenSwitch is when Panther replaced a token, and by that of which version.
type tokenSwitch struct {
	versionID string
	at        time.Time
}

func newMemory() *memory {
	return &memory{unstored: map[string][]unstored{}, switches: map[string]tokenSwitch{}}
}

func (m *memory) of(secretARN string) []unstored {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.unstored[secretARN])
}

func (m *memory) remember(secretARN string, u unstored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unstored[secretARN] = append(m.unstored[secretARN], u)
}

func (m *memory) forget(secretARN string, u unstored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := slices.DeleteFunc(m.unstored[secretARN], func(other unstored) bool { return other.value.Equal(u.value) })
	if len(rest) == 0 {
		delete(m.unstored, secretARN)
		return
	}
	m.unstored[secretARN] = rest
}

func (m *memory) noteSwitch(secretARN, versionID string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.switches[secretARN] = tokenSwitch{versionID, at}
}

// sinceSwitch returns how long ago Panther switched to the version's token,
// or 0 if this process does not know.
func (m *memory) sinceSwitch(secretARN, versionID string) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.switches[secretARN]
	if s.versionID != versionID || s.at.IsZero() {
		return 0
	}
	return time.Since(s.at)
}
