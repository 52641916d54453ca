//go:build verify

package panther

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"panther-token-rotation/internal/secret"
)

// These tests hold what is sent, and the schema of the sandbox, against the schema
// that Panther publishes (testdata/published.graphql says where). They need a
// python3 that has graphql-core 3.2; "make verify" installs it. It is the second
// opinion: the sandbox has another implementation of GraphQL.

// graphqlAnswer is what testdata/graphqlcore.py prints.
type graphqlAnswer struct {
	Version string                     `json:"version"`
	Data    json.RawMessage            `json:"data"`
	Errors  []struct{ Message string } `json:"errors"`
	Types   map[string]schemaType      `json:"types"`
}

// schemaType is a type of a schema. Members are fields with their arguments and
// types, values of an enum, or types of a union.
type schemaType struct {
	Kind    string            `json:"kind"`
	Members map[string]string `json:"members"`
}

// graphqlCore passes a request to graphql-core. It may be called from any
// goroutine, so it returns what went wrong.
func graphqlCore(request map[string]any) (graphqlAnswer, error) {
	var answer graphqlAnswer
	input, err := json.Marshal(request)
	if err != nil {
		return answer, err
	}
	var stderr bytes.Buffer
	python := exec.Command("python3", "testdata/graphqlcore.py")
	python.Stdin, python.Stderr = bytes.NewReader(input), &stderr
	output, err := python.Output()
	if err != nil {
		return answer, fmt.Errorf("these tests need a python3 on PATH that has graphql-core 3.2, as \"make verify\" installs it: %w\n%s", err, stderr.String())
	}
	return answer, json.Unmarshal(output, &answer)
}

func schemaText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func publishedSchema(t *testing.T) string { return schemaText(t, "testdata/published.graphql") }

// TestGraphQLCoreIsTheVersionPinned keeps what the other tests say the same from
// machine to machine.
func TestGraphQLCoreIsTheVersionPinned(t *testing.T) {
	answer, err := graphqlCore(map[string]any{"schema": publishedSchema(t)})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(answer.Version, "3.2.") {
		t.Errorf("graphql-core is %s, want 3.2", answer.Version)
	}
	t.Logf("graphql-core %s", answer.Version)
}

// rotatedRoot is what the mutation resolves to in graphql-core.
var rotatedRoot = map[string]any{"rotateAPIToken": map[string]any{"token": map[string]any{"value": newToken}}}

// TestWhatIsSentIsValidByThePublishedSchema has graphql-core, with the published
// schema, take Panther's place: the issuer's own requests must be valid there, and
// the issuer must find in the answers what it looks for.
func TestWhatIsSentIsValidByThePublishedSchema(t *testing.T) {
	schema := publishedSchema(t)
	var mu sync.Mutex
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Query     string         `json:"query"`
			Variables map[string]any `json:"variables"`
		}
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&body); err != nil {
			t.Errorf("the request is not one of GraphQL over HTTP: %v", err)
			return
		}
		mu.Lock()
		sent = append(sent, body.Query)
		mu.Unlock()
		answer, err := graphqlCore(map[string]any{
			"schema": schema, "query": body.Query, "variables": body.Variables, "root": rotatedRoot,
		})
		if err != nil {
			t.Error(err)
			return
		}
		for _, e := range answer.Errors {
			t.Errorf("%s is not valid: %s", body.Query, e.Message)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"data": answer.Data})
	}))
	t.Cleanup(server.Close)
	issuer := issuerAt(t, server.URL+"/public/graphql")

	token, err := issuer.Rotate(t.Context(), secret.NewText(oldToken))
	if err != nil || token.Reveal() != newToken {
		t.Errorf("the rotation brought %q, %v", token.Reveal(), err)
	}
	if err := issuer.Check(t.Context(), secret.NewText(oldToken)); err != nil {
		t.Errorf("the harmless question: %v", err)
	}
	if len(sent) != 2 {
		t.Errorf("sent %q, want one mutation and one question", sent)
	}
}

// TestABrokenOperationIsRefused shows that the check above can fail.
func TestABrokenOperationIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ query, says string }{
		"the name that the library would make":    {`mutation{rotateApiToken{token{value}}}`, "Cannot query field 'rotateApiToken'"},
		"empty parentheses, as documented":        {`mutation{rotateAPIToken(){token{value}}}`, "Syntax Error"},
		"empty parentheses behind the operation":  {`mutation rotateAPIToken(){rotateAPIToken{token{value}}}`, "Syntax Error"},
		"an argument that there is not":           {`mutation{rotateAPIToken(id:"7"){token{value}}}`, "Unknown argument 'id'"},
		"a field that there is not":               {`mutation{rotateAPIToken{token{secret}}}`, "Cannot query field 'secret'"},
		"no field of the token":                   {`mutation{rotateAPIToken{token}}`, "must have a selection of subfields"},
		"a query in place of a mutation":          {`{rotateAPIToken{token{value}}}`, "on type 'Query'"},
		"a question about the schema, misspelled": {`{__schema{queryTypes{name}}}`, "Cannot query field 'queryTypes'"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := graphqlCore(map[string]any{"schema": publishedSchema(t), "query": c.query, "root": rotatedRoot})
			if err != nil {
				t.Fatal(err)
			}
			if len(answer.Errors) == 0 || !strings.Contains(answer.Errors[0].Message, c.says) {
				t.Errorf("got %v, want an error that says %q", answer.Errors, c.says)
			}
		})
	}
}

// TestTheSandboxHasNothingThatIsNotPublished holds the schema of the sandbox's
// Panther to the published one: it may lack things, but what it has is the same.
func TestTheSandboxHasNothingThatIsNotPublished(t *testing.T) {
	published, err := graphqlCore(map[string]any{"schema": publishedSchema(t)})
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := graphqlCore(map[string]any{"schema": schemaText(t, "../test/sandbox/panther/schema.graphql")})
	if err != nil {
		t.Fatal(err)
	}
	if len(sandbox.Types) == 0 {
		t.Fatal("the sandbox's schema is empty")
	}
	for _, name := range slices.Sorted(maps.Keys(sandbox.Types)) {
		own, theirs := sandbox.Types[name], published.Types[name]
		if own.Kind != theirs.Kind {
			t.Errorf("%s: the sandbox has %q, published is %q", name, own.Kind, theirs.Kind)
			continue
		}
		for _, member := range slices.Sorted(maps.Keys(own.Members)) {
			want, ok := theirs.Members[member]
			if !ok {
				t.Errorf("%s.%s: the sandbox has it, and it is not published", name, member)
			} else if got := own.Members[member]; got != want {
				t.Errorf("%s.%s: the sandbox has %s, published is %s", name, member, got, want)
			}
		}
	}
}
