// Package panther speaks to Panther's GraphQL API: it rotates API tokens and
// asks whether one works. It is the issuer of tokens for package rotation.
//
// The API: https://docs.panther.com/panther-developer-workflows/api/graphql.
// Token rotation: https://docs.panther.com/panther-developer-workflows/api#token-rotation.
package panther

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/shurcooL/graphql"

	"panther-token-rotation/internal/network"
	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// Issuer is a Panther instance. It is safe for concurrent use.
type Issuer struct {
	url       string
	userAgent string
	transport *http.Transport
}

var _ rotation.Issuer = (*Issuer)(nil)

// New makes an Issuer for the GraphQL API at u. It sends userAgent with each
// request.
func New(u *url.URL, userAgent string) *Issuer {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSHandshakeTimeout = 5 * time.Second
	// A call that dies on a kept connection would leave open whether it
	// arrived; a new connection shows that before the request is sent.
	network.Configure(transport)
	return &Issuer{url: u.String(), userAgent: userAgent, transport: transport}
}

// Host returns the host to which tokens are sent, with its port if it has one.
func (i *Issuer) Host() string {
	u, err := url.Parse(i.url)
	if err != nil {
		return ""
	}
	return u.Host
}

// rotateAPIToken is the mutation. The field's name has to be given: the
// library would make rotateApiToken of it.
type rotateAPIToken struct {
	RotateAPIToken struct {
		Token struct {
			Value string
		}
	} `graphql:"rotateAPIToken"`
}

// introspection is a question that every living token may ask and no other:
// introspection "is an authorized operation", but asks for no permission
// (https://docs.panther.com/panther-developer-workflows/api/graphql).
type introspection struct {
	Schema struct {
		QueryType struct {
			Name string
		}
	} `graphql:"__schema"`
}

// Rotate calls rotateAPIToken with the token to be rotated. See
// [rotation.Issuer]. It takes the new token from any answer that has it,
// whether the answer is strict JSON or not, of up to 32 MiB. The token that was
// sent is no new one.
func (i *Issuer) Rotate(ctx context.Context, token secret.Text) (secret.Text, error) {
	answer := i.send(ctx, token, func(client *graphql.Client) error {
		return client.Mutate(ctx, &rotateAPIToken{}, nil)
	})
	isNew := func(s string) bool { return s != "" && s != token.Reveal() }
	if fresh, ok := find(answer.body, isNew, secret.FitsHeader, "rotateAPIToken", "token", "value"); ok {
		return secret.NewText(fresh), nil
	}
	return secret.Text{}, answer.classify()
}

// Check asks whether the token works. See [rotation.Issuer].
func (i *Issuer) Check(ctx context.Context, token secret.Text) error {
	answer := i.send(ctx, token, func(client *graphql.Client) error {
		return client.Query(ctx, &introspection{}, nil)
	})
	if answer.status != http.StatusOK {
		return answer.classify()
	}
	isName := func(s string) bool { return s != "" }
	if _, ok := find(answer.body, isName, isName, "__schema", "queryType", "name"); !ok {
		return answer.classify()
	}
	return nil
}

// send has the library write and send one operation. It does not let the
// library read the answer: that would lose the data of an answer whose status
// is not 200 or that has a field too many, and its errors quote the API.
func (i *Issuer) send(ctx context.Context, token secret.Text, operation func(*graphql.Client) error) *answer {
	call := &call{issuer: i, token: token}
	_ = operation(graphql.NewClient(i.url, &http.Client{Transport: call}))
	return &call.answer
}
