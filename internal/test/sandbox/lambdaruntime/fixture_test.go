package lambdaruntime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// fixture is a function with what it has logged.
type fixture struct {
	*Function
	t        *testing.T
	logTakes time.Duration
	logging  sync.Mutex
	mu       sync.Mutex
	lines    []string
}

// newFixture creates the function; when the test ends it is closed and must
// leave nothing behind.
func newFixture(t *testing.T, change func(*Options)) *fixture {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	fx := &fixture{t: t}
	options := Options{
		Binary:  binary,
		Name:    "rotate",
		Timeout: 20 * time.Second,
		Env: map[string]string{
			"GOCOVERDIR": t.TempDir(),         // or a binary built for coverage complains at exit
			"GORACE":     "atexit_sleep_ms=0", // or one built with -race takes a second to exit
		},
		Log: func(line string) {
			if !fx.logging.TryLock() {
				t.Error("Log is called by two goroutines at a time")
				return
			}
			defer fx.logging.Unlock()
			time.Sleep(fx.logTakes)
			fx.mu.Lock()
			defer fx.mu.Unlock()
			fx.lines = append(fx.lines, line)
		},
	}
	if change != nil {
		change(&options)
	}
	fx.Function, err = New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fx.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		goleak.VerifyNone(t)
	})
	return fx
}

func (fx *fixture) invoke(o order) ([]byte, error) {
	payload, _ := json.Marshal(o)
	return fx.Invoke(context.Background(), payload)
}

// report invokes the function, which must succeed.
func (fx *fixture) report(o order) report {
	fx.t.Helper()
	payload, err := fx.invoke(o)
	if err != nil {
		fx.t.Fatalf("Invoke(%s): %v", o.Do, err)
	}
	var r report
	if err := json.Unmarshal(payload, &r); err != nil {
		fx.t.Fatal(err)
	}
	return r
}

// failure invokes the function, which must fail.
func (fx *fixture) failure(o order) *FunctionError {
	fx.t.Helper()
	payload, err := fx.invoke(o)
	failure, ok := errors.AsType[*FunctionError](err)
	if !ok {
		fx.t.Fatalf("Invoke(%s) = %s, %v; want a FunctionError", o.Do, payload, err)
	}
	return failure
}

func (fx *fixture) logged() []string {
	fx.mu.Lock()
	defer fx.mu.Unlock()
	return slices.Clone(fx.lines)
}

// forgetLog makes logged begin again.
func (fx *fixture) forgetLog() {
	fx.mu.Lock()
	defer fx.mu.Unlock()
	fx.lines = nil
}

// wantLog compares the log with regular expressions, line by line.
func (fx *fixture) wantLog(patterns ...string) {
	fx.t.Helper()
	lines := fx.logged()
	matches := len(lines) == len(patterns)
	for i := 0; matches && i < len(lines); i++ {
		matches = regexp.MustCompile(`\A(?:` + patterns[i] + `)\z`).MatchString(lines[i])
	}
	if !matches {
		fx.t.Errorf("log is\n\t%q\nwant\n\t%q", lines, patterns)
	}
}

const (
	idPattern     = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`
	startPattern  = `START RequestId: ` + idPattern + ` Version: \$LATEST`
	endPattern    = `END RequestId: ` + idPattern
	reportPattern = `REPORT RequestId: ` + idPattern + `\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t(Max Memory Used: [1-9]\d* MB\t)?`
	coldPattern   = reportPattern + `Init Duration: \d+\.\d\d ms\t`
	initPattern   = `INIT_START Runtime Version: provided:al2023`
)

// wantPlatformError checks a failure in Lambda's words: the text that follows
// the request ID, and the payload a client of Lambda sees.
func wantPlatformError(t *testing.T, failure *FunctionError, errorType, text string) {
	t.Helper()
	id := regexp.MustCompile(idPattern).FindString(failure.Message)
	if id == "" || failure.ErrorType != errorType || failure.Message != "RequestId: "+id+" Error: "+text {
		t.Errorf("got %s, %q; want %s, %q with a request ID", failure.ErrorType, failure.Message, errorType, text)
	}
	want := fmt.Sprintf(`{"errorType":%q,"errorMessage":%q}`, failure.ErrorType, failure.Message)
	if string(failure.Payload) != want {
		t.Errorf("payload is %s, want %s", failure.Payload, want)
	}
}

// rendezvous is where functions that meet wait until the test lets them go.
func rendezvous(t *testing.T) (net.Listener, order) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { listener.Close() })
	return listener, order{Do: "meet", Address: listener.Addr().String()}
}

func arrival(t *testing.T, listener net.Listener) net.Conn {
	t.Helper()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
