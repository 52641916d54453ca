package panther

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// rotated is the answer that Panther documents.
const rotated = `{"data":{"rotateAPIToken":{"token":{"value":"` + newToken + `"}}}}`

// says answers with this status, type and body.
func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func json200(body string) http.HandlerFunc { return says(http.StatusOK, "application/json", body) }

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Flush()
	return b.String() // without the end, which only Close would write
}

func TestATokenIsReturnedWhateverElseIsInTheAnswer(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"as documented":                json200(rotated),
		"202":                          says(202, "application/json", rotated),
		"302":                          says(302, "application/json", rotated),
		"400":                          says(400, "application/json", rotated),
		"401":                          says(401, "application/json", rotated),
		"403":                          says(403, "application/json", rotated),
		"408":                          says(408, "application/json", rotated),
		"429":                          says(429, "application/json", rotated),
		"500":                          says(500, "application/json", rotated),
		"504":                          says(504, "application/json", rotated),
		"labelled as a web page":       says(200, "text/html; charset=utf-8", rotated),
		"labelled as GraphQL":          says(200, "application/graphql-response+json", rotated),
		"without a label":              says(200, "", rotated),
		"with errors behind it":        json200(`{"data":{"rotateAPIToken":{"token":{"value":"` + newToken + `"}}},"errors":[{"message":"x","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`),
		"with errors before it":        json200(`{"errors":[{"message":"x","path":["data",{"data":1}]}],"data":{"rotateAPIToken":{"token":{"value":"` + newToken + `"}}}}`),
		"with fields that are unknown": json200(`{"x":[{"data":null}],"data":{"a":{},"rotateAPIToken":{"b":[1,2],"token":{"id":"7","name":null,"value":"` + newToken + `","z":1.5e9},"c":true}}}`),
		"in any spacing and escaped":   json200("\r\n { \"data\" : {\t\"rotate\\u0041PIToken\" : { \"token\" : { \"value\" : \"\\u006e" + newToken[1:] + "\" } } } }\n"),
		"with rubbish behind it":       json200(rotated + "}]<html>"),
		"with too much behind it":      json200(rotated + strings.Repeat(" ", maxAnswer)),
		"cut off behind the token":     raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"+strings.TrimRight(rotated, "}"), false),
		"reset behind the token":       raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"+strings.TrimRight(rotated, "}"), true),
		"cut off within a chunk":       raw(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n"+rotated, false),
		"cut off within gzip":          raw(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 999\r\n\r\n"+gzipped(rotated), false),
		"gzip": func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				t.Error("gzip was not asked for")
			}
			w.Header().Set("Content-Encoding", "gzip")
			out := gzip.NewWriter(w)
			_, _ = io.WriteString(out, rotated)
			_ = out.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := api(t, handler).Rotate(t.Context(), secret.NewText(oldToken))
			if err != nil || token.Reveal() != newToken {
				t.Fatalf("the token is lost: got %q, %v", token.Reveal(), err)
			}
			assertNoLeak(t, fmt.Sprintf("%v %+v %#v", token, token, token))
		})
	}
}

func TestATokenIsReturnedFromAnAnswerThatNeverEnds(t *testing.T) {
	issuer := api(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, rotated)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	token, err := issuer.Rotate(ctx, secret.NewText(oldToken))
	if err != nil || token.Reveal() != newToken {
		t.Fatalf("the token is lost: got %q, %v", token.Reveal(), err)
	}
}

func TestWhateverTheTokenLooksLikeItArrivesWhole(t *testing.T) {
	for _, token := range []string{"x", " spaced ", "quote\"slash\\/<&>", "line\nend", "é\u2028😀", strings.Repeat("long", 5000)} {
		got, err := api(t, json200(fmt.Sprintf(`{"data":{"rotateAPIToken":{"token":{"value":%s}}}}`, quote(t, token)))).Rotate(t.Context(), secret.NewText(oldToken))
		if err != nil || got.Reveal() != token {
			t.Errorf("got %q, %v; want %q", got.Reveal(), err, token)
		}
	}
}

func TestWithoutATokenNoneIsMadeUp(t *testing.T) {
	for name, body := range map[string]string{
		"no token":              `{"data":{"rotateAPIToken":{"token":null}}}`,
		"no value":              `{"data":{"rotateAPIToken":{"token":{"value":null}}}}`,
		"nothing in it":         `{"data":{"rotateAPIToken":{"token":{"value":""}}}}`,
		"value left out":        `{"data":{"rotateAPIToken":{"token":{"id":"7"}}}}`,
		"a number":              `{"data":{"rotateAPIToken":{"token":{"value":12345678}}}}`,
		"an object":             `{"data":{"rotateAPIToken":{"token":{"value":{"value":"` + newToken + `"}}}}}`,
		"a list":                `{"data":{"rotateAPIToken":{"token":{"value":["` + newToken + `"]}}}}`,
		"another field":         `{"data":{"rotateApiToken":{"token":{"value":"` + newToken + `"}}}}`,
		"in an error":           `{"data":null,"errors":[{"data":{"rotateAPIToken":{"token":{"value":"` + newToken + `"}}}}]}`,
		"in an error's message": `{"data":null,"errors":[{"message":"{\"rotateAPIToken\":{\"token\":{\"value\":\"` + newToken + `\"}}}"}]}`,
		"the same, not strict":  "\ufeff" + `{"data":null,"errors":[{"message":"{\"rotateAPIToken\":{\"token\":{\"value\":\"` + newToken + `\"}}}"}]}`,
		"a value in an error":   `{"data":{"rotateAPIToken":null},"errors":[{"path":["rotateAPIToken"],"extensions":{"value":"` + newToken + `"}}]}`,
		"a value behind it":     `[{"data":{"rotateAPIToken":{"token":null},"other":{"value":"` + newToken + `"}}}]`,
		"a value before it":     `[{"value":"` + newToken + `"},{"data":{"rotateAPIToken":{"token":null}}}]`,
		"another field's value": `[{"data":{"rotateAPIToken":{"token":{"owner":{"value":"` + newToken + `"}}}}}]`,
		"a query, echoed":       `{"query":"mutation{rotateAPIToken{token{value}}}","value":"` + newToken + `"}`,
		"the key as a value":    `{"field":"rotateAPIToken","token":{"value":"` + newToken + `"}}`,
		"the token sent":        `{"data":{"rotateAPIToken":{"token":{"value":"` + oldToken + `"}}}}`,
		"the same in a list":    `[{"data":{"rotateAPIToken":{"token":{"value":"` + oldToken + `"}}}}]`,
		"cut off, then another": `{"data":{"rotateAPIToken":{"token":{"value":"` + newToken[:20] + `{"data":null}`,
		"cut off in a list":     `[{"data":{"rotateAPIToken":{"token":{"value":"` + newToken[:20],
		"no header carries it":  `[{"data":{"rotateAPIToken":{"token":{"value":"` + newToken[:20] + ` é"}}}}]`,
		"empty, in a list":      `[{"data":{"rotateAPIToken":{"token":{"value":""}}}}]`,
		"in single quotes":      `{'data':{'rotateAPIToken':{'token':{'value':'` + newToken + `'}}}}`,
		"the other operation's": `{"data":{"__schema":{"queryType":{"name":"Query"}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			token, err := api(t, json200(body)).Rotate(t.Context(), secret.NewText(oldToken))
			if err == nil || !token.IsEmpty() {
				t.Fatalf("made up %q, %v", token.Reveal(), err)
			}
			assertNoLeak(t, err.Error())
			if answer := err.(*rotation.AnswerError); answer.Answer != rotation.Ambiguous {
				t.Errorf("got %v %q; a mutation without its token may have happened", answer.Answer, answer.Summary)
			}
		})
	}
}

func TestCheckPassesOnlyWhereTheQuestionIsAnswered(t *testing.T) {
	const schema = `{"data":{"__schema":{"queryType":{"name":"Query"}}}}`
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		works   bool
	}{
		"answered":                   {json200(schema), true},
		"by another name":            {json200(`{"data":{"__schema":{"queryType":{"name":"RootQuery","kind":"OBJECT"}}},"extensions":{}}`), true},
		"answered, cut off behind":   {raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"+schema, false), true},
		"401":                        {says(401, "application/json", schema), false},
		"403":                        {says(403, "application/json", schema), false},
		"500":                        {says(500, "application/json", schema), false},
		"no schema":                  {json200(`{"data":{"__schema":null},"errors":[{"message":"not authorized"}]}`), false},
		"no name":                    {json200(`{"data":{"__schema":{"queryType":{"name":""}}}}`), false},
		"a page":                     {says(200, "text/html", "<html>Sign in</html>"), false},
		"the other operation's data": {json200(rotated), false},
	} {
		t.Run(name, func(t *testing.T) {
			err := api(t, tc.handler).Check(t.Context(), secret.NewText(oldToken))
			if (err == nil) != tc.works {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnAPIThatEchoesTokensLeaksNone(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"in an error":       json200(`{"errors":[{"message":"` + oldToken + newToken + `","path":["` + newToken + `"],"extensions":{"code":"` + newToken + `"}}]}`),
		"in a broken error": json200(`{"errors":"` + newToken),
		"in a 4xx body":     says(404, "text/plain", oldToken+newToken),
		"in a 5xx body":     says(502, "text/html", "<html>"+oldToken+newToken),
		"as the type":       says(200, newToken+"/"+oldToken, "{}"),
		"as the wait":       raw(t, "HTTP/1.1 429 "+newToken+"\r\nRetry-After: "+newToken+"\r\nX-"+newToken+": "+oldToken+"\r\nContent-Length: 0\r\n\r\n", false),
		"in the status":     raw(t, "HTTP/1.1 599 "+newToken+oldToken+"\r\nContent-Length: 0\r\n\r\n", false),
		"as the status":     raw(t, "HTTP/1.1 "+newToken+"\r\nContent-Length: 0\r\n\r\n", false),
		"as the length":     raw(t, "HTTP/1.1 200 OK\r\nContent-Length: "+newToken+"\r\n\r\n", false),
		"as the encoding":   raw(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: "+newToken+"\r\n\r\n", false),
		"as gzip":           raw(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"+newToken, false),
		"in a trailer":      raw(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"+newToken+"\r\n\r\n", false),
		"in a redirect":     raw(t, "HTTP/1.1 307 Moved\r\nLocation: https://acme.invalid/"+newToken+"\r\nContent-Length: 0\r\n\r\n", false),
		"in a bad redirect": raw(t, "HTTP/1.1 307 Moved\r\nLocation: ://"+newToken+"\r\nContent-Length: 0\r\n\r\n", false),
	} {
		t.Run(name, func(t *testing.T) {
			both(t, api(t, handler), time.Minute, func(*testing.T, *rotation.AnswerError) {}) // both looks for leaks
		})
	}
}

func TestATokenThatNoHeaderCarriesIsNotSentNorPrinted(t *testing.T) {
	issuer := api(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	_, err := issuer.Rotate(t.Context(), secret.NewText(oldToken+"\r\nX-Other: 1"))
	if err == nil || err.(*rotation.AnswerError).Answer != rotation.NotSent {
		t.Fatalf("got %v, want NotSent", err)
	}
	assertNoLeak(t, fmt.Sprintf("%+v", err))
}
