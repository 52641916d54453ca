package panther

import (
	"net/http"
	"time"
)

// tokenInfo is a token as Panther's REST API describes it, without its value
// (docs/panther_open_api_v3_spec.yaml of github.com/panther-labs/mcp-panther).
type tokenInfo struct {
	ID                string     `json:"id"`
	Name              string     `json:"name"`
	Permissions       []string   `json:"permissions"`
	AllowedCIDRBlocks []string   `json:"allowedCIDRBlocks"`
	CreatedAt         time.Time  `json:"createdAt"`
	ExpiresAt         *time.Time `json:"expiresAt"`
}

// self describes the token that asks, which needs no permission here. Whether
// Panther wants one is not documented.
func (a *API) self(token string) answer {
	q := &request{api: a, token: token}
	if reply, refused := q.refused(); refused {
		return reply
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t, _ := a.find(token)
	return jsonAnswer(http.StatusOK, tokenInfo{
		ID:                t.id,
		Name:              t.name,
		Permissions:       []string{},
		AllowedCIDRBlocks: []string{},
		CreatedAt:         t.createdAt,
		ExpiresAt:         t.expiresAt,
	})
}
