package lambdaruntime

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFunctionErrorIsPassedOn(t *testing.T) {
	fx := newFixture(t, nil)
	failure := fx.failure(order{Do: "fail"})
	want := &FunctionError{
		ErrorType: "teapotError",
		Message:   "cannot brew",
		Payload:   []byte(`{"errorMessage":"cannot brew","errorType":"teapotError"}`),
	}
	if diff := cmp.Diff(want, failure); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
	if want := "function failed: teapotError: cannot brew"; failure.Error() != want {
		t.Errorf("Error() = %q, want %q", failure.Error(), want)
	}
}

func TestPanicIsReportedAndEndsTheProcess(t *testing.T) {
	fx := newFixture(t, nil)
	before := fx.report(order{})
	failure := fx.failure(order{Do: "panic"})
	if failure.ErrorType != "string" || failure.Message != "out of beans" || !bytes.Contains(failure.Payload, []byte(`"stackTrace":[{`)) {
		t.Errorf("got %s, %q, %s; want the panic with its stack trace", failure.ErrorType, failure.Message, failure.Payload)
	}
	if lines := fx.logged(); !strings.HasSuffix(lines[len(lines)-1], "\tStatus: error\tError Type: Runtime.ExitError") {
		t.Errorf("REPORT line of a process that exited is %q", lines[len(lines)-1])
	}
	if after := fx.report(order{}); after.PID == before.PID {
		t.Error("the process that panicked did the next invocation")
	}
}

func TestDeadlineKillsTheProcess(t *testing.T) {
	fx := newFixture(t, func(o *Options) { o.Timeout = 250 * time.Millisecond })
	start := time.Now()
	wantPlatformError(t, fx.failure(order{Do: "hang"}), "Sandbox.Timedout", "Task timed out after 0.25 seconds")
	if took := time.Since(start); took < 250*time.Millisecond {
		t.Errorf("killed after %s, before the deadline", took)
	}
	fx.wantLog(initPattern, startPattern,
		`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z `+idPattern+` Task timed out after 0\.25 seconds`,
		endPattern,
		`REPORT RequestId: `+idPattern+`\tDuration: 250\.00 ms\t`+strings.TrimPrefix(coldPattern, `REPORT RequestId: `+idPattern+`\tDuration: \d+\.\d\d ms\t`)+`Status: timeout`)
	if got := fx.Kill(); got != 0 {
		t.Errorf("%d processes run after the deadline, want 0", got)
	}

	fx.forgetLog()
	fx.report(order{})
	fx.wantLog(initPattern, startPattern, endPattern, coldPattern)
}

func TestDeadlineKillsWhatTheProcessStarted(t *testing.T) {
	fx := newFixture(t, func(o *Options) { o.Timeout = 300 * time.Millisecond })
	listener, _ := rendezvous(t)
	start := time.Now()
	wantPlatformError(t, fx.failure(order{Do: "hang with a child", Address: listener.Addr().String()}),
		"Sandbox.Timedout", "Task timed out after 0.30 seconds")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
	// If the child lives it has called, or calls yet, and holds the connection.
	listener.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
	conn, err := listener.Accept()
	if err != nil {
		return // killed before it could call
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a process that the function started outlives it")
	}
}

func TestCrashIsReportedAndTheNextInvocationStartsAgain(t *testing.T) {
	for _, test := range []struct{ do, text string }{
		{"exit 3", "Runtime exited with error: exit status 3"},
		{"exit 0", "Runtime exited without providing a reason"},
	} {
		t.Run(test.do, func(t *testing.T) {
			fx := newFixture(t, nil)
			before := fx.report(order{})
			fx.forgetLog()
			wantPlatformError(t, fx.failure(order{Do: test.do}), "Runtime.ExitError", test.text)
			fx.wantLog(startPattern, `RequestId: `+idPattern+` Error: `+test.text, `Runtime\.ExitError`,
				endPattern, reportPattern+`Status: error\tError Type: Runtime\.ExitError`)
			if after := fx.report(order{}); after.PID == before.PID {
				t.Error("the process that exited did the next invocation")
			}
		})
	}
}

func TestKillIsACrashToARunningInvocation(t *testing.T) {
	fx := newFixture(t, nil)
	listener, meet := rendezvous(t)
	failed := make(chan error, 1)
	go func() {
		_, err := fx.invoke(meet)
		failed <- err
	}()
	arrival(t, listener)
	if got := fx.Kill(); got != 1 {
		t.Errorf("Kill() = %d, want 1", got)
	}
	failure, ok := errors.AsType[*FunctionError](<-failed)
	if !ok {
		t.Fatal("the killed invocation succeeded")
	}
	wantPlatformError(t, failure, "Runtime.ExitError", "Runtime exited with error: signal: killed")
}

func TestKillOfAnIdleProcessMakesTheNextStartCold(t *testing.T) {
	fx := newFixture(t, nil)
	before := fx.report(order{})
	if got := fx.Kill(); got != 1 {
		t.Errorf("Kill() = %d, want 1", got)
	}
	fx.forgetLog()
	if after := fx.report(order{}); after.PID == before.PID {
		t.Error("a killed process did the next invocation")
	}
	fx.wantLog(initPattern, startPattern, endPattern, coldPattern)
}

func TestInitExit(t *testing.T) {
	fx := newFixture(t, func(o *Options) { o.Env["TEST_INIT"] = "exit" })
	wantPlatformError(t, fx.failure(order{}), "Runtime.ExitError", "Runtime exited with error: exit status 4")
	fx.wantLog(initPattern, "no configuration",
		`INIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: init\tStatus: error\tError Type: Runtime\.ExitError`,
		startPattern, `RequestId: `+idPattern+` Error: Runtime exited with error: exit status 4`, `Runtime\.ExitError`,
		endPattern, reportPattern+`Status: error\tError Type: Runtime\.ExitError`)
}

func TestInitErrorIsPassedOn(t *testing.T) {
	for _, how := range []string{"report", "report-and-stay"} {
		t.Run(how, func(t *testing.T) {
			fx := newFixture(t, func(o *Options) { o.Env["TEST_INIT"] = how })
			want := &FunctionError{
				ErrorType: "Config.Missing",
				Message:   "PANTHER_API_URL is not set",
				Payload:   []byte(`{"errorType":"Config.Missing","errorMessage":"PANTHER_API_URL is not set"}`),
			}
			if diff := cmp.Diff(want, fx.failure(order{})); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
			if !slices.Contains(fx.logged(), "after the report") {
				t.Errorf("what the function wrote before it exited is not in the log: %q", fx.logged())
			}
			if got := fx.Kill(); got != 0 {
				t.Errorf("%d processes outlive a failed init, want 0", got)
			}
		})
	}
}

func TestInitIsTriedAgainByTheNextInvocation(t *testing.T) {
	fx := newFixture(t, func(o *Options) { o.Env["TEST_INIT"] = "exit-once " + filepath.Join(t.TempDir(), "tried") })
	fx.failure(order{})
	fx.report(order{})
}

func TestInitTimeoutKillsTheProcess(t *testing.T) {
	fx := newFixture(t, func(o *Options) { o.Env["TEST_INIT"] = "hang" })
	if fx.initTimeout != 10*time.Second {
		t.Errorf("init may take %s, want Lambda's 10s", fx.initTimeout)
	}
	fx.initTimeout = 200 * time.Millisecond
	wantPlatformError(t, fx.failure(order{}), "Sandbox.Timedout", "Init timed out after 0.20 seconds")
	if got := fx.Kill(); got != 0 {
		t.Errorf("%d processes run after the init timeout, want 0", got)
	}
	if lines := fx.logged(); !regexp.MustCompile(`\AINIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: init\tStatus: timeout\z`).MatchString(lines[1]) {
		t.Errorf("line after INIT_START is %q, want INIT_REPORT with Status: timeout", lines[1])
	}
}

func TestMissingBinaryIsAnInvalidEntrypoint(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "bootstrap")
	fx := newFixture(t, func(o *Options) { o.Binary = binary })
	wantPlatformError(t, fx.failure(order{}), "Runtime.InvalidEntrypoint", "fork/exec "+binary+": no such file or directory")
}
