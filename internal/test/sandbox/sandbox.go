// Package sandbox puts three stand-ins together on 127.0.0.1: Secrets Manager,
// Lambda with the real binary of this project's function, and Panther. Start
// starts it; from then on any AWS SDK and the aws CLI can rotate a token in it.
package sandbox

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"panther-token-rotation/internal/test/sandbox/lambdaruntime"
	"panther-token-rotation/internal/test/sandbox/panther"
	"panther-token-rotation/internal/test/sandbox/secretsmanager"
)

// Options are the sandbox's settings. The zero value builds the function, and
// all the stand-ins are at their best.
type Options struct {
	// Binary is the path of the function's binary. Empty means that Start builds
	// it, with Go, from the module that the working directory is in.
	Binary string

	// FunctionName is its name in Lambda: panther-token-rotation by default.
	FunctionName string

	// Timeout is the function's, for one step: 4 minutes by default, as deployed.
	Timeout time.Duration

	// Env holds settings of the function beside those that Start makes
	// (PANTHER_API_URL and AWS_ENDPOINT_URL_SECRETS_MANAGER), which it overrides.
	Env map[string]string

	// Log gets each line that the function or Lambda logs, one at a time. Nil
	// means that nobody listens.
	Log func(line string)

	// Panther and SecretsManager are the quirks of the two. Start sets Invoke and
	// HasFunction: Secrets Manager may invoke the function, and no other.
	Panther        panther.Options
	SecretsManager secretsmanager.Options
}

// Sandbox is what Start started. Close ends it.
type Sandbox struct {
	SecretsManager *secretsmanager.Server
	Panther        *panther.API
	Function       *lambdaruntime.Function

	// Region is the one that all of it is in.
	Region string
	// SecretsManagerURL is what AWS_ENDPOINT_URL has to be.
	SecretsManagerURL string
	// PantherURL is where Panther's GraphQL API answers.
	PantherURL string

	builtIn string // the directory of a binary built by Start
	servers []*http.Server
	serving sync.WaitGroup
}

// Start starts a sandbox. It can take a while if the function has to be built;
// ctx bounds that, and nothing after it. On an error, nothing is left behind.
func Start(ctx context.Context, o Options) (_ *Sandbox, err error) {
	s := &Sandbox{Region: cmp.Or(o.SecretsManager.Region, "eu-west-1")}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()

	binary := o.Binary
	if binary == "" {
		if s.builtIn, err = os.MkdirTemp("", "panther-token-rotation-"); err != nil {
			return nil, err
		}
		if binary, err = Build(ctx, s.builtIn); err != nil {
			return nil, err
		}
	}

	// Each of the three has to know another, so their addresses come first.
	atSecretsManager, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	atPanther, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		atSecretsManager.Close()
		return nil, err
	}
	s.SecretsManagerURL = "http://" + atSecretsManager.Addr().String()
	s.PantherURL = "http://" + atPanther.Addr().String() + panther.Path

	env := map[string]string{
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": s.SecretsManagerURL,
		"PANTHER_API_URL":                  s.PantherURL,
	}
	maps.Copy(env, o.Env)
	s.Function, err = lambdaruntime.New(lambdaruntime.Options{
		Binary:    binary,
		Name:      cmp.Or(o.FunctionName, "panther-token-rotation"),
		Region:    s.Region,
		AccountID: o.SecretsManager.AccountID,
		Timeout:   cmp.Or(o.Timeout, 4*time.Minute),
		Env:       env,
		Log:       o.Log,
	})
	if err != nil {
		atSecretsManager.Close()
		atPanther.Close()
		return nil, err
	}

	o.SecretsManager.Region = s.Region
	o.SecretsManager.HasFunction = func(arn string) bool { return arn == s.Function.ARN() }
	o.SecretsManager.Invoke = func(ctx context.Context, _ string, event []byte) error {
		_, err := s.Function.Invoke(ctx, event)
		return err
	}
	s.SecretsManager = secretsmanager.New(o.SecretsManager)
	s.Panther = panther.New(o.Panther)
	s.serve(atSecretsManager, s.SecretsManager)
	s.serve(atPanther, s.Panther)
	return s, nil
}

func (s *Sandbox) serve(listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	s.serving.Go(func() { server.Serve(listener) }) // ends when the server is closed
}

// Close ends rotations, the function's processes and the servers, and removes
// what Start built. It may be called more than once.
func (s *Sandbox) Close() error {
	var problems []error
	if s.SecretsManager != nil {
		s.SecretsManager.Close()
	}
	if s.Function != nil {
		problems = append(problems, s.Function.Close())
	}
	for _, server := range s.servers {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if err := server.Shutdown(ctx); err != nil {
			problems = append(problems, server.Close()) // a request hangs, as a fault had it
		}
		cancel()
	}
	s.serving.Wait()
	if s.builtIn != "" {
		problems = append(problems, os.RemoveAll(s.builtIn))
	}
	return errors.Join(problems...)
}
