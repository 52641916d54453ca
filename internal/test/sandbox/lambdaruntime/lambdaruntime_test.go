package lambdaruntime

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestInvocationCarriesWhatLambdaSends(t *testing.T) {
	fx := newFixture(t, func(o *Options) { o.Region, o.AccountID = "eu-west-1", "210987654321" })
	first, second := fx.report(order{}), fx.report(order{})

	if want := "arn:aws:lambda:eu-west-1:210987654321:function:rotate"; first.ARN != want || fx.ARN() != want {
		t.Errorf("ARN told %s, returned %s, want %s", first.ARN, fx.ARN(), want)
	}
	if first.Remaining <= 0 || first.Remaining > 20*time.Second || first.Remaining < 15*time.Second {
		t.Errorf("the function has %s left at its start, want a little less than its timeout of 20s", first.Remaining)
	}
	if !regexp.MustCompile(`\A` + idPattern + `\z`).MatchString(first.RequestID) {
		t.Errorf("request ID is %q, want a UUID", first.RequestID)
	}
	if first.RequestID == second.RequestID {
		t.Error("two invocations have the same request ID")
	}
	if !regexp.MustCompile(`\ARoot=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0\z`).MatchString(first.TraceID) {
		t.Errorf("trace ID is %q", first.TraceID)
	}
}

func TestEnvironmentIsLambdasAndTheFunctionsOnly(t *testing.T) {
	t.Setenv("PARENT_VARIABLE", "must not be inherited")
	t.Setenv("AWS_ENDPOINT_URL", "must not be inherited")
	fx := newFixture(t, func(o *Options) {
		o.MemoryMB = 256
		o.Env = map[string]string{"LOG_LEVEL": "debug", "TZ": "Europe/Berlin"}
	})

	got := map[string]string{}
	for _, variable := range fx.report(order{}).Environment {
		name, value, _ := strings.Cut(variable, "=")
		got[name] = value
	}
	for name, pattern := range map[string]string{
		"AWS_LAMBDA_RUNTIME_API":     `127\.0\.0\.1:\d+`,
		"AWS_LAMBDA_LOG_STREAM_NAME": `\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}`,
		"AWS_ACCESS_KEY_ID":          `ASIA.+`,
		"AWS_SECRET_ACCESS_KEY":      `.+`,
		"AWS_SESSION_TOKEN":          `.+`,
		"_X_AMZN_TRACE_ID":           `Root=.+`, // set by the runtime in the binary
	} {
		if !regexp.MustCompile(`\A` + pattern + `\z`).MatchString(got[name]) {
			t.Errorf("%s=%q, want a match of %s", name, got[name], pattern)
		}
		delete(got, name)
	}
	binary, _ := os.Executable()
	want := map[string]string{
		"AWS_DEFAULT_REGION":              "us-east-1",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
		"AWS_LAMBDA_FUNCTION_NAME":        "rotate",
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/rotate",
		"AWS_REGION":                      "us-east-1",
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"LAMBDA_TASK_ROOT":                filepath.Dir(binary),
		"LANG":                            "en_US.UTF-8",
		"LOG_LEVEL":                       "debug",
		"PATH":                            "/usr/local/bin:/usr/bin:/bin:/opt/bin",
		"TZ":                              "Europe/Berlin",
		"_HANDLER":                        filepath.Base(binary),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := New(Options{
		MemoryMB: -1,
		Timeout:  -time.Second,
		Env:      map[string]string{"AWS_REGION": "x", "_HANDLER": "y", "LOG_LEVEL": "debug"},
	})
	if err == nil {
		t.Fatal("New accepts wrong options")
	}
	for _, want := range []string{"Binary", "Name", "MemoryMB", "Timeout", "_HANDLER, AWS_REGION"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not mention %s: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "LOG_LEVEL") {
		t.Errorf("error mentions a variable that is allowed: %v", err)
	}
}

func TestProcessIsReusedWhileItLives(t *testing.T) {
	fx := newFixture(t, nil)
	if got := fx.Kill(); got != 0 {
		t.Errorf("%d processes run before the first invocation, want 0", got)
	}
	first := fx.report(order{})
	fx.failure(order{Do: "fail"})
	if second := fx.report(order{}); second.PID != first.PID {
		t.Errorf("process %d did the first invocation, %d the third; want the same", first.PID, second.PID)
	}
}

func TestConcurrentInvocationsGetAProcessEach(t *testing.T) {
	fx := newFixture(t, nil)
	listener, meet := rendezvous(t)

	pids := make(chan int, 2)
	for range 2 {
		go func() {
			payload, _ := fx.invoke(meet)
			var r report
			json.Unmarshal(payload, &r)
			pids <- r.PID
		}()
	}
	one, other := arrival(t, listener), arrival(t, listener) // both run now
	one.Close()
	other.Close()

	a, b := <-pids, <-pids
	if a == b || a == 0 || b == 0 {
		t.Errorf("processes %d and %d did concurrent invocations, want two", a, b)
	}
	if c := fx.report(order{}).PID; c != a && c != b {
		t.Errorf("process %d did the third invocation, want %d or %d, which are idle", c, a, b)
	}
	if got := fx.Kill(); got != 2 {
		t.Errorf("%d processes run, want 2", got)
	}
}

func TestBinaryThatIsStillBeingWrittenIsAwaited(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "bootstrap")
	file, err := os.OpenFile(binary, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		path, _ := os.Executable()
		if self, err = os.Open(path); err != nil {
			t.Fatal(err)
		}
	}
	defer self.Close()
	if _, err := io.Copy(file, self); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { file.Close() })

	fx := newFixture(t, func(o *Options) { o.Binary = binary })
	fx.report(order{})
}

func TestCallerThatGivesUpDoesNotStopTheFunction(t *testing.T) {
	fx := newFixture(t, nil)
	listener, meet := rendezvous(t)
	pid := fx.report(order{}).PID

	ctx, giveUp := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() {
		payload, _ := json.Marshal(meet)
		_, err := fx.Invoke(ctx, payload)
		failed <- err
	}()
	conn := arrival(t, listener)
	giveUp()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("Invoke of a caller that gave up: %v, want context.Canceled", err)
	}
	if other := fx.report(order{}).PID; other == pid {
		t.Error("the process did another invocation next to the one that still runs")
	}
	if _, err := fx.Invoke(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Invoke with an ended context: %v, want context.Canceled", err)
	}

	fx.forgetLog()
	conn.Close() // lets the function finish
	for deadline := time.Now().Add(10 * time.Second); len(fx.logged()) < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the invocation never ends")
		}
	}
	fx.wantLog(endPattern, reportPattern)
	if got := fx.Kill(); got != 2 {
		t.Errorf("%d processes run, want 2: none ended with its caller", got)
	}
}

func TestCarelessRuntimeIsCorrected(t *testing.T) {
	fx := newFixture(t, func(o *Options) { o.Env["TEST_INIT"] = "careless" })
	payload, err := fx.invoke(order{})
	if err != nil || string(payload) != `"first"` {
		t.Errorf("Invoke() = %s, %v; want the first answer", payload, err)
	}
	fx.wantLog(initPattern, startPattern, "next without an answer: 403", "answer to another request: 400", "answer: 202",
		"second answer: 403", "unknown path: 404", endPattern, coldPattern)

	want := &FunctionError{ErrorType: "Type.OfTheHeader", Message: "not JSON", Payload: []byte("not JSON")}
	if diff := cmp.Diff(want, fx.failure(order{})); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
}

func TestCloseEndsARunningInvocation(t *testing.T) {
	fx := newFixture(t, nil)
	listener, meet := rendezvous(t)
	failed := make(chan error, 1)
	go func() {
		_, err := fx.invoke(meet)
		failed <- err
	}()
	conn := arrival(t, listener)
	if err := fx.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, ok := errors.AsType[*FunctionError](<-failed); !ok {
		t.Error("the running invocation did not fail")
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the process outlives Close")
	}
	if _, err := fx.invoke(order{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Invoke after Close: %v, want ErrClosed", err)
	}
}
