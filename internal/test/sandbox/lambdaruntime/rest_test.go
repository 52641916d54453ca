package lambdaruntime

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// request sends one request to Lambda's API.
func (fx *fixture) request(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	fx.REST().ServeHTTP(w, r)
	return w
}

func TestConfigurationIsDescribedAndChanged(t *testing.T) {
	fx := newFixture(t, func(o *Options) { o.JSONLog, o.Env["GREETING"] = true, "hello" })
	path := "/2015-03-31/functions/" + url.PathEscape(fx.ARN()) + "/configuration"
	describe := func(w *httptest.ResponseRecorder) (c configuration) {
		t.Helper()
		if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return c
	}
	c := describe(fx.request("GET", path, ""))
	if c.FunctionArn != fx.ARN() || c.Timeout != 20 || c.Environment.Variables["GREETING"] != "hello" || c.State != "Active" ||
		c.LoggingConfig.LogGroup != "/aws/lambda/rotate" || c.LoggingConfig.LogFormat != "JSON" || c.Architectures[0] == "" {
		t.Errorf("got %+v", c)
	}
	if modified, err := time.Parse("2006-01-02T15:04:05.000-0700", c.LastModified); err != nil || time.Since(modified) > time.Minute {
		t.Errorf("LastModified is %s", c.LastModified)
	}

	before := fx.report(order{}).PID
	c = describe(fx.request("PUT", path, `{"Timeout":30}`))
	if c.Timeout != 30 || c.Environment.Variables["GREETING"] != "hello" {
		t.Errorf("after the change: %+v", c)
	}
	if fx.report(order{}).PID == before {
		t.Error("the process before the change goes on")
	}
	if w := fx.request("GET", "/2015-03-31/functions/another/configuration", ""); w.Code != http.StatusNotFound || w.Header().Get("X-Amzn-ErrorType") != "ResourceNotFoundException" {
		t.Errorf("another function: %d %s", w.Code, w.Body)
	}
	for _, body := range []string{`{"Environment":{"Variables":{"AWS_REGION":"x"}}}`, `{"Timeout":0}`, `{"Timeout":901}`, `{"MemorySize":256}`} {
		if w := fx.request("PUT", path, body); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", body, w.Code)
		}
	}
}

func TestInvokeAnswersAsLambdaDoes(t *testing.T) {
	fx := newFixture(t, nil)
	const path = "/2015-03-31/functions/rotate/invocations"
	if w := fx.request("POST", path, `{}`); w.Code != http.StatusOK || w.Header().Get("X-Amz-Function-Error") != "" || !strings.Contains(w.Body.String(), `"PID"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := fx.request("POST", path, `{"Do":"exit 3"}`); w.Code != http.StatusOK || w.Header().Get("X-Amz-Function-Error") != "Unhandled" || !strings.Contains(w.Body.String(), "Runtime.ExitError") {
		t.Errorf("a failure: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := fx.request("POST", path, `{`); w.Code != http.StatusBadRequest {
		t.Errorf("no JSON: %d", w.Code)
	}
}

// TestAnEventRunsAfterTheAnswer: the server ends a request's context with it.
func TestAnEventRunsAfterTheAnswer(t *testing.T) {
	fx := newFixture(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "POST", "/2015-03-31/functions/rotate/invocations", strings.NewReader(`{}`))
	r.Header.Set("X-Amz-Invocation-Type", "Event")
	w := httptest.NewRecorder()
	fx.REST().ServeHTTP(w, r)
	if w.Code != http.StatusAccepted || w.Body.Len() > 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	ran := func(line string) bool { return strings.HasPrefix(line, "REPORT ") }
	for giveUp := time.Now().Add(20 * time.Second); !slices.ContainsFunc(fx.logged(), ran); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(giveUp) {
			t.Fatalf("it did not run: %q", fx.logged())
		}
	}
}

func TestPlatformLinesAreJSON(t *testing.T) {
	fx := newFixture(t, func(o *Options) { o.JSONLog = true })
	fx.report(order{})
	fx.failure(order{Do: "fail"})
	fx.failure(order{Do: "exit 3"})
	var got []string
	for _, line := range fx.logged() {
		var entry struct {
			Time, Type string
			Record     struct{ Status, ErrorType string }
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Time != "" {
			got = append(got, strings.TrimSpace(entry.Type+" "+entry.Record.Status+" "+entry.Record.ErrorType))
		}
	}
	want := "platform.initStart, platform.start, platform.report success, platform.start, platform.report error teapotError, platform.start, platform.report error Runtime.ExitError"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}
