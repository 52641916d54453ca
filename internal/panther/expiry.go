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

// Info is what Panther's REST API tells of a token. Only GraphQL promises what
// rotation needs, so nothing else depends on this.
type Info struct {
	ID, Name string
	// Expires is zero if the token does not expire.
	Expires time.Time
}

// Info asks what Panther tells of the token. It reports false if Panther does
// not tell: the API is not there, or the token lacks the permission Read API
// Token Info.
//
// https://docs.panther.com/panther-developer-workflows/api/rest/api-tokens
func (i *Issuer) Info(ctx context.Context, token secret.Text) (Info, bool) {
	base, ok := strings.CutSuffix(i.url, "/public/graphql")
	if !ok {
		return Info{}, false
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api-tokens/self", nil)
	if err != nil {
		return Info{}, false
	}
	request.Header.Set("X-API-Key", token.Reveal())
	request.Header.Set("User-Agent", i.userAgent)
	request.Header.Set("Accept", "application/json")
	response, err := i.transport.RoundTrip(request) // follows no redirect
	if err != nil {
		return Info{}, false
	}
	defer func() { _ = response.Body.Close() }()
	var self struct {
		ID, Name  string
		ExpiresAt *time.Time
	}
	const longest = 64 << 10
	err = json.NewDecoder(io.LimitReader(response.Body, longest)).Decode(&self)
	if response.StatusCode != http.StatusOK || err != nil {
		return Info{}, false
	}
	info := Info{ID: self.ID, Name: self.Name}
	if self.ExpiresAt != nil {
		info.Expires = *self.ExpiresAt
	}
	return info, true
}

// Expiry asks when the token expires. It reports false if the token does not
// expire, or if Panther does not tell. See [Issuer.Info].
func (i *Issuer) Expiry(ctx context.Context, token secret.Text) (time.Time, bool) {
	info, ok := i.Info(ctx, token)
	return info.Expires, ok && !info.Expires.IsZero()
}
