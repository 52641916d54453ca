package panther

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"panther-token-rotation/internal/secret"
)

// Expiry asks Panther's REST API when the token expires. It reports false if
// the token does not expire, or if Panther does not tell: the API is not there,
// or the token lacks the permission Read API Token Info. Only GraphQL promises
// what rotation needs, so nothing else depends on this.
//
// https://docs.panther.com/panther-developer-workflows/api/rest/api-tokens
func (i *Issuer) Expiry(ctx context.Context, token secret.Text) (time.Time, bool) {
	base, ok := strings.CutSuffix(i.url, "/public/graphql")
	if !ok {
		return time.Time{}, false
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api-tokens/self", nil)
	if err != nil {
		return time.Time{}, false
	}
	request.Header.Set("X-API-Key", token.Reveal())
	request.Header.Set("User-Agent", i.userAgent)
	request.Header.Set("Accept", "application/json")
	response, err := i.transport.RoundTrip(request) // follows no redirect
	if err != nil {
		return time.Time{}, false
	}
	defer func() { _ = response.Body.Close() }()
	var self struct{ ExpiresAt *time.Time }
	const longest = 64 << 10
	err = json.NewDecoder(io.LimitReader(response.Body, longest)).Decode(&self)
	if response.StatusCode != http.StatusOK || err != nil || self.ExpiresAt == nil {
		return time.Time{}, false
	}
	return *self.ExpiresAt, true
}
