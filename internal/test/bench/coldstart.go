package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	coldStartAim   = 1.5  // times hello-world's, at most
	pythonAim      = 40.0 // times as fast as Python, at least
	coldStartLimit = 30 * time.Second
)

// pythonFunction does what AWS's template for rotation functions in Python does
// before it can work: its imports, and the client. Then it asks for an
// invocation, as Lambda's runtime for Python would; importing that runtime is
// left out.
const pythonFunction = `
import boto3, json, logging, os
client = boto3.client("secretsmanager", endpoint_url=os.environ["SECRETS_MANAGER_ENDPOINT"])
from http.client import HTTPConnection
api = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
api.request("GET", "/2018-06-01/runtime/invocation/next")
api.getresponse()
`

// coldStart measures the time from the start of a process until it asks for its
// first invocation: what Lambda calls init.
func (b *bench) coldStart(ctx context.Context) ([]figure, error) {
	api, err := newStopwatch()
	if err != nil {
		return nil, err
	}
	defer api.close()

	ours := sample{name: "cold start: function", unit: "ms"}
	hello := sample{name: "cold start: hello-world", unit: "ms"}
	boto3 := sample{name: "cold start: Python with boto3", unit: "ms"}
	type contestant struct {
		sample  *sample
		command []string
		every   int // so many rounds
	}
	contestants := []contestant{{&ours, []string{b.function}, 1}, {&hello, []string{b.hello}, 1}}
	python, version, noPython := findPython(ctx)
	if noPython == nil {
		contestants = append(contestants, contestant{&boto3, []string{python, "-c", pythonFunction}, 10})
	}
	for round := range b.rounds(300, 100) + 1 {
		for _, c := range contestants {
			if round%c.every != 0 {
				continue
			}
			took, err := api.start(ctx, c.command)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.sample.name, err)
			}
			if round > 0 { // the first one fills caches, of the disk and of Python
				c.sample.add(float64(took) / float64(time.Millisecond))
			}
		}
	}

	figures := []figure{timesAsMuch("cold start", "hello-world on aws-lambda-go", ours, hello, coldStartAim)}
	aim := fmt.Sprintf("at least %.0f × as fast", pythonAim)
	if noPython != nil {
		return append(figures, figure{name: "cold start, against Python", ours: ours.inShort(), ratio: "–", aim: aim,
			yardstick: "not measured: " + noPython.Error(), verdict: notMeasured}), nil
	}
	faster := boto3.median() / ours.median()
	return append(figures, figure{
		name: "cold start, against Python", ours: ours.inShort(), yardstick: boto3.inShort() + ", " + version,
		ratio: fmt.Sprintf("%.0f × as fast", faster), aim: aim, verdict: metIf(faster >= pythonAim),
		samples: []sample{boto3},
	}), nil
}

// findPython returns the Python to compare with and says what it is. The
// interpreter itself is asked for its path, since what is on the PATH may be a
// script that starts it.
func findPython(ctx context.Context) (path, version string, err error) {
	name := cmp.Or(os.Getenv("BENCH_PYTHON"), "python3")
	if _, err := exec.LookPath(name); err != nil {
		return "", "", errors.New("no Python with boto3")
	}
	const question = `import sys, platform, boto3; print(sys.executable); print("Python", platform.python_version(), "with boto3", boto3.__version__)`
	answer, err := exec.CommandContext(ctx, name, "-c", question).Output()
	path, version, ok := strings.Cut(strings.TrimSpace(string(answer)), "\n")
	if err != nil || !ok {
		return "", "", errors.New("no Python with boto3")
	}
	return path, version, nil
}

// stopwatch is a Lambda runtime API that never has an invocation. It tells when
// it is asked for one.
type stopwatch struct {
	server  *http.Server
	address string
	asked   chan time.Time
}

func newStopwatch() (*stopwatch, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &stopwatch{address: listener.Addr().String(), asked: make(chan time.Time, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(_ http.ResponseWriter, r *http.Request) {
		s.asked <- time.Now()
		<-r.Context().Done()
	})
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go s.server.Serve(listener) // ends when the server is closed
	return s, nil
}

func (s *stopwatch) close() { s.server.Close() }

// start runs a command until it asks for an invocation, ends it, and returns
// how long that took.
func (s *stopwatch) start(ctx context.Context, command []string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, coldStartLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = []string{
		"AWS_LAMBDA_FUNCTION_NAME=panther-token-rotation", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "AWS_LAMBDA_LOG_GROUP_NAME=bench", "AWS_LAMBDA_LOG_STREAM_NAME=bench",
		"AWS_LAMBDA_RUNTIME_API=" + s.address, "_HANDLER=bootstrap", "PATH=/usr/local/bin:/usr/bin:/bin", "TZ=:UTC",
		"AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "AWS_SESSION_TOKEN=bench",
		"PANTHER_API_URL=https://api.acme.runpanther.net", "SECRETS_MANAGER_ENDPOINT=https://secretsmanager.eu-west-1.amazonaws.com",
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output

	started := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case asked := <-s.asked:
		cancel() // ends the process
		<-exited
		return asked.Sub(started), nil
	case err := <-exited:
		return 0, fmt.Errorf("it ended without asking for an invocation (%v)\n%s", err, strings.TrimSpace(output.String()))
	}
}
