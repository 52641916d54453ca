//go:build verify

package conformance

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// freePort returns an address of this machine that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// output keeps what a program says, for a test that fails.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) end() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.text.String()
	return text[max(0, len(text)-4000):]
}

// startServer starts another project's program and returns when it listens at
// address. It has this environment, PATH, and no other. The test ends it.
func startServer(t *testing.T, address string, env []string, program string, arguments ...string) {
	t.Helper()
	said := &output{}
	cmd := exec.Command(program, arguments...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(env, "PATH="+os.Getenv("PATH")), said, said
	cmd.WaitDelay = 5 * time.Second // for what it started and left with its output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // so that it can end what it started
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Errorf("%s does not end by itself", program)
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s said, in the end:\n%s", program, said.end())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended at once", program)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen at %s: %v", program, address, err)
		}
	}
}

// startMoto starts moto's server and returns its URL.
func startMoto(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("moto_server")
	if err != nil {
		t.Fatalf("moto's server is missing, make verify installs it: %v", err)
	}
	address := freePort(t)
	host, port, _ := strings.Cut(address, ":")
	startServer(t, address, nil, program, "-H", host, "-p", port)
	return "http://" + address
}
