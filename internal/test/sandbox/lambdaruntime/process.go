package lambdaruntime

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// initErrorGrace is the time a process has to log and exit by itself after
	// it reported that init failed.
	initErrorGrace = 500 * time.Millisecond
	// busyBinaryLimit is how long the start of a binary that a person still
	// holds open for writing (ETXTBSY) is tried again.
	busyBinaryLimit = 2 * time.Second
	// shutdownLimit bounds the wait for the runtime API of a process that is gone.
	shutdownLimit = time.Second
)

// process is one execution environment: a running binary and its runtime API.
// It does one invocation at a time.
type process struct {
	cmd            *exec.Cmd
	api            *http.Server
	stdout, stderr *output

	invocations chan *invocation    // on its way to the runtime, which waits in /next
	ready       chan struct{}       // filled when the runtime asks for its next invocation
	initFailed  chan *FunctionError // filled when the runtime reports that init failed
	dead        chan struct{}       // closed when the binary has ended
	exited      chan struct{}       // closed when, besides, its output is logged and its API is gone
	exitCause   error               // how it ended; valid when exited is closed

	wantsNotice atomic.Bool // it registered an extension

	mu      sync.Mutex
	current *invocation // the last one handed over
	peakMB  int
}

// invocation is one call of the function.
type invocation struct {
	requestID string
	traceID   string
	payload   []byte
	deadline  time.Time
	answer    *answer // guarded by the mu of the process that does it
}

// answer is what the runtime reported for an invocation: a payload or a failure.
type answer struct {
	payload []byte
	failure *FunctionError
}

func newInvocation(payload []byte) *invocation {
	id := make([]byte, 16)
	rand.Read(id)
	id[6] = id[6]&0x0f | 0x40 // a random UUID, RFC 9562 section 5.4
	id[8] = id[8]&0x3f | 0x80
	return &invocation{
		requestID: fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]),
		traceID:   fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", time.Now().Unix(), randomHex(12), randomHex(8)),
		payload:   payload,
	}
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// startError says that the binary could not be executed.
type startError struct{ error }

// startProcess starts the binary. The error is a *startError if the binary is to blame.
func (f *Function) startProcess() (*process, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("runtime API: %w", err)
	}
	stdout, err := newOutput(f.log)
	if err != nil {
		listener.Close()
		return nil, err
	}
	stderr, err := newOutput(f.log)
	if err != nil {
		listener.Close()
		stdout.close()
		return nil, err
	}
	p := &process{
		stdout:      stdout,
		stderr:      stderr,
		invocations: make(chan *invocation),
		ready:       make(chan struct{}, 1),
		initFailed:  make(chan *FunctionError, 1),
		dead:        make(chan struct{}),
		exited:      make(chan struct{}),
	}
	p.api = &http.Server{Handler: p.runtimeAPI(f.ARN()), ReadHeaderTimeout: 10 * time.Second}

	if err := p.execute(f.options.Binary, f.variables(listener.Addr().String())); err != nil {
		listener.Close()
		stdout.close()
		stderr.close()
		return nil, &startError{err}
	}
	f.work.Add(2) // before an invocation that counts is done, so never from zero
	go func() {
		defer f.work.Done()
		p.api.Serve(listener) // ends when the server is closed
	}()
	adopted := f.adopt(p)
	go func() {
		defer f.work.Done()
		p.reap()
		f.forget(p)
		close(p.exited)
	}()
	if !adopted {
		p.endWithin(0)
		return nil, ErrClosed
	}
	return p, nil
}

// execute starts the binary in its own directory, as /var/task is in Lambda.
func (p *process) execute(binary string, variables []string) error {
	giveUp := time.Now().Add(busyBinaryLimit)
	for {
		p.cmd = exec.Command(binary)
		p.cmd.Dir = filepath.Dir(binary)
		p.cmd.Env = variables
		p.cmd.Stdout, p.cmd.Stderr = p.stdout.write, p.stderr.write
		setProcessGroup(p.cmd)
		err := p.cmd.Start()
		if !errors.Is(err, syscall.ETXTBSY) || time.Now().After(giveUp) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// reap waits for the binary's end and clears up after it. When it returns, the
// answers the process gave and the lines it wrote have arrived.
func (p *process) reap() {
	p.exitCause = p.cmd.Wait()
	killGroup(p.cmd) // what the binary itself started ends with it
	close(p.dead)

	ctx, cancel := context.WithTimeout(context.Background(), shutdownLimit)
	defer cancel()
	if err := p.api.Shutdown(ctx); err != nil {
		p.api.Close()
	}
	p.stdout.close()
	p.stderr.close()
}

// kill ends the binary; reap sees to the rest. It does nothing to one that has
// ended.
func (p *process) kill() {
	p.cmd.Process.Kill()
}

// retireNotice is the time from SIGTERM to SIGKILL for a process that has an
// internal extension alone
// (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown).
const retireNotice = 300 * time.Millisecond

// retire ends the process as Lambda ends one that it no longer needs: with
// notice, if it wants any.
func (p *process) retire() {
	if !p.wantsNotice.Load() {
		p.endWithin(0)
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.endWithin(retireNotice)
}

// endWithin gives the process the time to exit by itself, kills it if it does
// not, and waits until it is gone.
func (p *process) endWithin(grace time.Duration) {
	select {
	case <-p.dead:
	case <-time.After(grace):
		p.kill()
	}
	<-p.exited
}

func (p *process) ended() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// exitError says how the process ended, which it must have.
func (p *process) exitError(requestID string) *FunctionError {
	text := "Runtime exited without providing a reason"
	if p.exitCause != nil {
		text = fmt.Sprintf("Runtime exited with error: %v", p.exitCause)
	}
	return platformError(requestID, "Runtime.ExitError", text)
}

// hand gives the invocation to the runtime, which waits in /next. If it waits no
// more, nothing happens until the deadline or the end of the process.
func (p *process) hand(inv *invocation) {
	p.mu.Lock()
	p.current = inv
	select {
	case <-p.ready: // left by a runtime that asked twice
	default:
	}
	p.mu.Unlock()

	select {
	case p.invocations <- inv:
	case <-p.dead:
	case <-time.After(time.Until(inv.deadline)):
	}
}

// answerTo returns what the runtime reported for the invocation, nil if nothing.
func (p *process) answerTo(inv *invocation) *answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return inv.answer
}

// syncOutput returns when all that the process has written so far is logged.
func (p *process) syncOutput() {
	p.stdout.sync()
	p.stderr.sync()
}

// peakMemoryMB returns the largest memory use that was seen, 0 if it is not known.
func (p *process) peakMemoryMB() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peakMB
}
