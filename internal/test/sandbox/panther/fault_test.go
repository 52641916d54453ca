package panther

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// once is an Options.Fault that strikes the first rotation.
func once(f Fault) func(Request) *Fault {
	struck := false
	return func(r Request) *Fault {
		if struck || r.Operation != RotateAPIToken {
			return nil
		}
		struck = true
		return &f
	}
}

func TestFaults(t *testing.T) {
	for _, test := range []struct {
		name        string
		fault       Fault
		wantEffect  bool
		wantStatus  int // 0: no answer
		wantToken   bool
		wantErr     error
		wantBody    string
		contentType string
	}{
		{name: "page", fault: Fault{Kind: WebPage}, wantStatus: 502, wantBody: "<h1>something went wrong</h1>", contentType: "text/html; charset=utf-8"},
		{name: "page after the effect", fault: Fault{Kind: WebPage, Status: 503, AfterEffect: true}, wantEffect: true, wantStatus: 503, wantBody: "<html>", contentType: "text/html; charset=utf-8"},
		{name: "reset", fault: Fault{Kind: Reset}, wantErr: syscall.ECONNRESET},
		{name: "reset after the effect", fault: Fault{Kind: Reset, AfterEffect: true}, wantEffect: true, wantErr: syscall.ECONNRESET},
		{name: "redirect", fault: Fault{Kind: Redirect, URL: "http://127.0.0.1:9/elsewhere"}, wantStatus: 307},
		{name: "redirect after the effect", fault: Fault{Kind: Redirect, Status: 302, URL: "http://127.0.0.1:9/elsewhere", AfterEffect: true}, wantEffect: true, wantStatus: 302},
		{name: "not GraphQL", fault: Fault{Kind: NotGraphQL}, wantStatus: 200, wantBody: `{"message":"something went wrong"}`},
		{name: "not GraphQL after the effect", fault: Fault{Kind: NotGraphQL, Status: 504, AfterEffect: true}, wantEffect: true, wantStatus: 504, wantBody: `{"message":"something went wrong"}`},
		{name: "errors only", fault: Fault{Kind: ErrorsOnly}, wantStatus: 200, wantBody: `{"data":null,"errors":[{"extensions":{"code":"INTERNAL_SERVER_ERROR"},"message":"something went wrong"}]}`},
		{name: "errors only after the effect", fault: Fault{Kind: ErrorsOnly, AfterEffect: true}, wantEffect: true, wantStatus: 200, wantBody: `"data":null`},
		{name: "null token", fault: Fault{Kind: NullToken}, wantStatus: 200, wantBody: `{"data":{"rotateAPIToken":{"token":null}}}`},
		{name: "null token after the effect", fault: Fault{Kind: NullToken, AfterEffect: true}, wantEffect: true, wantStatus: 200, wantBody: `"token":null`},
		{name: "errors with data", fault: Fault{Kind: ErrorsBesideData}, wantEffect: true, wantStatus: 200, wantToken: true, wantBody: `"errors":[{`},
		{name: "202 with the token", fault: Fault{Kind: OtherStatus}, wantEffect: true, wantStatus: 202, wantToken: true},
		{name: "500 with the token", fault: Fault{Kind: OtherStatus, Status: 500}, wantEffect: true, wantStatus: 500, wantToken: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			api := New(Options{Fault: once(test.fault)})
			old := api.NewToken("deploy")
			base, client := serve(t, api)

			resp, body, err := send(t, client, newRequest(t, base, old, rotation))
			if !errors.Is(err, test.wantErr) {
				t.Fatalf("error %v, want %v", err, test.wantErr)
			}
			if test.wantStatus != 0 {
				checkAnswer(t, resp, body, test.wantStatus, test.wantBody, test.contentType, test.fault.URL)
				if got := tokenOf(body) != ""; got != test.wantToken {
					t.Errorf("token in the answer: %t, want %t", got, test.wantToken)
				}
			}
			if test.wantToken && api.Status(tokenOf(body)) != Living {
				t.Error("the token in the answer does not live")
			}
			checkEffect(t, api, old, test.wantEffect)
			if c := api.Calls()[0]; c.Operation != RotateAPIToken || c.Status != test.wantStatus || c.Rotated != test.wantEffect {
				t.Errorf("call is %+v", c)
			}
		})
	}
}

func checkAnswer(t *testing.T, resp *http.Response, body []byte, status int, wantBody, contentType, location string) {
	t.Helper()
	if resp.StatusCode != status || !strings.Contains(string(body), wantBody) {
		t.Errorf("status %d, body %s; want %d, %s", resp.StatusCode, body, status, wantBody)
	}
	if contentType == "" && location == "" {
		contentType = "application/json"
	}
	if got := resp.Header.Get("Content-Type"); got != contentType {
		t.Errorf("Content-Type %q, want %q", got, contentType)
	}
	if contentType == "application/json" && !json.Valid(body) {
		t.Errorf("body is not JSON: %s", body)
	}
	if got := resp.Header.Get("Location"); got != location {
		t.Errorf("Location %q, want %q", got, location)
	}
}

func checkEffect(t *testing.T, api *API, old string, wantEffect bool) {
	t.Helper()
	want, issued := Living, 1
	if wantEffect {
		want, issued = Dead, 2
	}
	if got := len(api.Issued()); got != issued {
		t.Errorf("%d tokens were issued, want %d", got, issued)
	}
	wantStatus(t, api, old, want)
}

func TestCutsTheAnswerOff(t *testing.T) {
	const before = `{"data":{"rotateAPIToken":{"token":{"value":"`
	for kind, wantBody := range map[FaultKind]func(fresh string) string{
		CutInToken:     func(fresh string) string { return before + fresh[:len(fresh)/2] },
		CutBehindToken: func(fresh string) string { return before + fresh + `"` },
	} {
		t.Run(string(kind), func(t *testing.T) {
			api := New(Options{Fault: once(Fault{Kind: kind})})
			old := api.NewToken("deploy")
			base, client := serve(t, api)

			resp, body, err := send(t, client, newRequest(t, base, old, rotation))
			if resp == nil || resp.StatusCode != http.StatusOK || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("answer %v, error %v; want 200 and a body that ends too early", resp, err)
			}
			checkEffect(t, api, old, true)
			if got := string(body); got != wantBody(api.Issued()[1]) {
				t.Errorf("body %s", got)
			}
		})
		t.Run(string(kind)+", no token in the answer", func(t *testing.T) {
			api := New(Options{Fault: func(Request) *Fault { return &Fault{Kind: kind} }})
			base, client := serve(t, api)
			_, body, err := send(t, client, newRequest(t, base, api.NewToken("deploy"), introspection))
			if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(string(body), `{"data":`) {
				t.Errorf("body %s, error %v", body, err)
			}
		})
	}
}

// A fault that dresses the genuine answer up must not turn a refusal into
// anything else.
func TestFaultsThatNeedTheGenuineAnswerLeaveARefusal(t *testing.T) {
	for _, kind := range []FaultKind{ErrorsBesideData, OtherStatus, CutInToken, CutBehindToken} {
		var asked []Request
		api := New(Options{Fault: func(r Request) *Fault {
			asked = append(asked, r)
			return &Fault{Kind: kind}
		}})
		got := call(t, api, "made-up", rotation)
		if got.Code != http.StatusUnauthorized || got.Body.String() != `{"message":"Unauthorized"}`+"\n" {
			t.Errorf("%s: status %d, body %s", kind, got.Code, got.Body)
		}
		if len(asked) != 1 || asked[0] != (Request{Operation: RotateAPIToken, Token: Unknown}) {
			t.Errorf("%s: asked for %+v", kind, asked)
		}
	}
}

func TestHangsUntilTheCallerGivesUp(t *testing.T) {
	for _, after := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			api := New(Options{Fault: once(Fault{Kind: Hang, AfterEffect: after})})
			old := api.NewToken("deploy")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			aborted := aborts(api, newRequest(t, "http://127.0.0.1", old, rotation).WithContext(ctx))
			if !aborted || time.Since(start) != time.Minute {
				t.Errorf("aborted %t after %v, want no answer until the caller's minute is over", aborted, time.Since(start))
			}
			checkEffect(t, api, old, after)
		})
	}
}

// Over the network the same, with the server noticing that the caller left.
func TestHangEndsWithTheConnection(t *testing.T) {
	api := New(Options{Fault: once(Fault{Kind: Hang})})
	token := api.NewToken("deploy")
	base, client := serve(t, api)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := send(t, client, newRequest(t, base, token, rotation).WithContext(ctx))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the caller's own deadline", err)
	}
}

func TestResetsATLSConnection(t *testing.T) {
	api := New(Options{Fault: once(Fault{Kind: Reset})})
	server := httptest.NewTLSServer(api)
	defer server.Close()
	_, _, err := send(t, server.Client(), newRequest(t, server.URL, api.NewToken("deploy"), rotation))
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error %v, want a reset", err)
	}
}

func TestResetWithoutAConnectionAborts(t *testing.T) {
	api := New(Options{Fault: once(Fault{Kind: Reset})})
	if !aborts(api, newRequest(t, "http://127.0.0.1", api.NewToken("deploy"), rotation)) {
		t.Error("an answer came")
	}
}

// aborts reports whether the API left a request without an answer.
func aborts(api *API, req *http.Request) (aborted bool) {
	defer func() { aborted = recover() == http.ErrAbortHandler }()
	api.ServeHTTP(httptest.NewRecorder(), req)
	return false
}
