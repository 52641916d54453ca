// Package lambdaruntime runs the binary of a Lambda function with a custom
// runtime (provided.al2023) on this machine as AWS Lambda runs it: New takes
// what the function's configuration says, Invoke calls it, Close ends it.
//
// Each process has a runtime API of its own
// (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) on a free
// port of 127.0.0.1, and an environment that holds what Lambda defines, what
// the function's configuration adds, and nothing of the parent's. The first
// Invoke starts a process; later ones reuse it while it lives; Invokes at the
// same time get a process each. A process that crashes or misses the deadline
// is gone, and with it all it had in memory.
//
// Three things differ from AWS. A process that waits for its next invocation is
// not frozen. Init that fails is tried again by the next Invoke, not a second
// time within the same one. A payload may have any size.
package lambdaruntime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// ErrClosed is the error of Invoke after Close.
var ErrClosed = errors.New("the function is closed")

// initTimeout limits the time from the start of a process to its first call of
// /next, whatever the function's own timeout is
// (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html).
const initTimeout = 10 * time.Second

// Options is the configuration of a function.
type Options struct {
	// Binary is the path of the executable that Lambda calls bootstrap.
	// Required. It is looked at when a process starts, not before.
	Binary string
	// Name of the function. Required.
	Name string
	// Region the function believes to be in; empty means us-east-1.
	Region string
	// AccountID is the twelve-digit AWS account; empty means 123456789012.
	AccountID string
	// MemoryMB is the function's memory size in MB; 0 means 128, as in Lambda.
	// The function and the REPORT lines are told; it is not enforced.
	MemoryMB int
	// Timeout of one invocation, init not included; 0 means 3 s, as in Lambda.
	Timeout time.Duration
	// Env holds the function's own environment variables. As in Lambda, none
	// may have the name of a variable that Lambda reserves.
	Env map[string]string
	// Log gets every line the function writes to stdout and stderr and Lambda's
	// own lines (INIT_START, START, END, REPORT), without the newline. The
	// order within one stream is kept; a line is never mixed with another. It
	// is called by one goroutine at a time. Nil means that nobody listens.
	Log func(line string)
	// JSONLog has Lambda write its own lines in JSON, as the log format JSON
	// does (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html):
	// platform.initStart, platform.start and platform.report.
	JSONLog bool

	modified time.Time
}

// Function is a function that can be invoked. All methods are safe for use by
// many goroutines.
type Function struct {
	options     Options
	initTimeout time.Duration

	logging sync.Mutex
	work    sync.WaitGroup // invocations and processes

	mu        sync.Mutex
	closed    bool
	processes []*process // all that live
	idle      []*process // those that wait for an invocation, last used last
}

// New returns the function that options describe. No process is started. The
// error names all that is wrong with the options.
func New(options Options) (*Function, error) {
	var problems []error
	if options.Binary == "" {
		problems = append(problems, errors.New("option Binary is empty: it is the path of the function's executable"))
	}
	if options.Name == "" {
		problems = append(problems, errors.New("option Name is empty"))
	}
	if options.MemoryMB < 0 {
		problems = append(problems, fmt.Errorf("option MemoryMB is negative: %d", options.MemoryMB))
	}
	if options.Timeout < 0 {
		problems = append(problems, fmt.Errorf("option Timeout is negative: %s", options.Timeout))
	}
	if err := checkVariables(options.Env); err != nil {
		problems = append(problems, err)
	}
	binary, err := filepath.Abs(options.Binary)
	if err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("lambdaruntime: %w", errors.Join(problems...))
	}

	options.Binary = binary
	if options.Region == "" {
		options.Region = "us-east-1"
	}
	if options.AccountID == "" {
		options.AccountID = "123456789012"
	}
	if options.MemoryMB == 0 {
		options.MemoryMB = 128
	}
	if options.Timeout == 0 {
		options.Timeout = 3 * time.Second
	}
	options.modified = time.Now()
	return &Function{options: options, initTimeout: initTimeout}, nil
}

// ARN returns the function's unqualified ARN.
func (f *Function) ARN() string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", f.options.Region, f.options.AccountID, f.options.Name)
}

// Invoke runs the function on payload and returns its answer, once the process
// is ready for the next invocation or gone.
//
// A *FunctionError means that the function failed, as the FunctionError
// "Unhandled" of Lambda's Invoke does. When ctx ends, Invoke returns its error
// and the function runs on, as it does when a client of Lambda gives up waiting.
// ErrClosed is returned after Close. Any other error is the sandbox's own.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil, ErrClosed
	}
	f.work.Add(1)
	f.mu.Unlock()

	type result struct {
		payload []byte
		err     error
	}
	done := make(chan result, 1)
	inv := newInvocation(bytes.Clone(payload))
	go func() {
		defer f.work.Done()
		payload, err := f.run(inv)
		done <- result{payload, err}
	}()

	select {
	case r := <-done:
		return r.payload, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Kill ends all processes of the function with SIGKILL, waits until they are
// gone and returns their number. To invocations that run this is a crash.
func (f *Function) Kill() int {
	f.mu.Lock()
	processes := slices.Clone(f.processes)
	f.mu.Unlock()
	for _, p := range processes {
		p.kill()
	}
	for _, p := range processes {
		<-p.exited
	}
	return len(processes)
}

// Retire ends all processes as Lambda ends those that it no longer needs: one
// that registered an extension gets SIGTERM and 300 ms first. Lambda does so to
// idle processes; to an invocation that runs, this is a crash. It returns their
// number.
func (f *Function) Retire() int {
	f.mu.Lock()
	processes := slices.Clone(f.processes)
	f.mu.Unlock()
	for _, p := range processes {
		p.retire()
	}
	return len(processes)
}

// Close ends all processes like Kill, waits for the invocations that ran, and
// leaves nothing behind. It may be called more than once; the error is always
// nil.
func (f *Function) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.Kill()
	f.work.Wait()
	return nil
}

// run takes a process that waits, or starts one, and has it do the invocation.
func (f *Function) run(inv *invocation) ([]byte, error) {
	p := f.takeIdle()
	if p != nil {
		return f.invoke(p, inv, 0)
	}

	f.logInitStart()
	start := time.Now()
	p, failure, err := f.coldStart(inv.requestID)
	initDuration := time.Since(start)
	if err != nil {
		return nil, err
	}
	if failure == nil {
		return f.invoke(p, inv, initDuration)
	}
	f.logInitFailure(inv.requestID, initDuration, failure)
	return nil, failure
}

// coldStart starts a process and waits until it asks for its first invocation.
// If the function is to blame for a failure, that is the second value.
func (f *Function) coldStart(requestID string) (*process, *FunctionError, error) {
	p, err := f.startProcess()
	if notStarted, ok := errors.AsType[*startError](err); ok {
		return nil, platformError(requestID, "Runtime.InvalidEntrypoint", notStarted.Error()), nil
	}
	if err != nil {
		return nil, nil, err
	}

	timeout := time.NewTimer(f.initTimeout)
	defer timeout.Stop()
	select {
	case <-p.ready:
		p.syncOutput()
		return p, nil, nil
	case failure := <-p.initFailed:
		p.endWithin(initErrorGrace)
		return nil, failure, nil
	case <-p.exited:
		// A runtime that reports why init failed and exits at once has done both by now.
		select {
		case failure := <-p.initFailed:
			return nil, failure, nil
		default:
			return nil, p.exitError(requestID), nil
		}
	case <-timeout.C:
		p.endWithin(0)
		text := fmt.Sprintf("Init timed out after %.2f seconds", f.initTimeout.Seconds())
		return nil, platformError(requestID, errorTypeTimeout, text), nil
	}
}

// invoke hands the invocation to the process, which waits for one, and stays
// until it asks for the next, ends, or is killed at the deadline.
func (f *Function) invoke(p *process, inv *invocation, initDuration time.Duration) ([]byte, error) {
	f.logStart(inv.requestID)
	start, limit := time.Now(), f.settings().Timeout
	inv.deadline = start.Add(limit)
	timeout := time.NewTimer(limit)
	defer timeout.Stop()

	p.hand(inv)
	var failure *FunctionError
	select {
	case <-p.ready:
		p.syncOutput()
	case <-p.exited:
		failure = p.exitError(inv.requestID)
	case <-timeout.C:
		p.endWithin(0)
		text := fmt.Sprintf("Task timed out after %.2f seconds", limit.Seconds())
		failure = platformError(inv.requestID, errorTypeTimeout, text)
	}
	answer := p.answerTo(inv)
	f.logEnd(ending{inv.requestID, min(time.Since(start), limit), initDuration, p.peakMemoryMB(), failure, answer})
	if failure == nil {
		f.putIdle(p)
	}

	// An answer counts even if the process does not survive it: a Go function
	// that panics first reports the panic and then exits.
	if answer != nil {
		if answer.failure != nil {
			return nil, answer.failure
		}
		return answer.payload, nil
	}
	return nil, failure
}

func (f *Function) takeIdle() *process {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.idle) > 0 {
		last := len(f.idle) - 1
		p := f.idle[last]
		f.idle = f.idle[:last]
		if !p.ended() {
			return p
		}
	}
	return nil
}

func (f *Function) putIdle(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle = append(f.idle, p)
}

// adopt adds a process that was just started, unless Close came first.
func (f *Function) adopt(p *process) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.processes = append(f.processes, p)
	return true
}

func (f *Function) forget(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.processes = slices.DeleteFunc(f.processes, func(other *process) bool { return other == p })
	f.idle = slices.DeleteFunc(f.idle, func(other *process) bool { return other == p })
}
