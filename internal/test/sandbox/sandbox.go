// Package sandbox puts stand-ins together on 127.0.0.1: Panther at one address,
// and AWS at another, with Secrets Manager, Lambda with the real binary of this
// project's function, its log in CloudWatch Logs, and CloudTrail. Start starts
// it; from then on any AWS SDK and the aws CLI can rotate a token in it.
package sandbox

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"panther-token-rotation/internal/test/sandbox/cloudwatchlogs"
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

	// Env holds settings of the function next to those that Start makes
	// (PANTHER_API_URL and AWS_ENDPOINT_URL_SECRETS_MANAGER), which it overrides.
	Env map[string]string

	// Log gets each line that the function or Lambda logs, one at a time. Nil
	// means that nobody listens.
	Log func(line string)

	// OnFault gets a line each time that a fault strikes that was switched on.
	OnFault func(text string)

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
	Logs           *cloudwatchlogs.Group // the function's

	// Region is the one that all of it is in.
	Region string
	// SecretsManagerURL is what AWS_ENDPOINT_URL has to be: all of AWS that the
	// sandbox has answers there.
	SecretsManagerURL string
	// PantherURL is where Panther's GraphQL API answers.
	PantherURL string

	tokenKey, standbyKey string // of the function
	propagation          time.Duration
	faults               faults
	panther              *http.Server // its address refuses connections when it is closed
	pantherAddress       string

	builtIn string // the directory of a binary built by Start
	servers []*http.Server
	serving sync.WaitGroup
}

// Start starts a sandbox. It can take a while if the function has to be built;
// ctx bounds that, and nothing after it. On an error, nothing is left behind.
func Start(ctx context.Context, o Options) (_ *Sandbox, err error) {
	s := &Sandbox{Region: cmp.Or(o.SecretsManager.Region, "eu-west-1")}
	o.SecretsManager.AccountID = cmp.Or(o.SecretsManager.AccountID, "123456789012")
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
		Log: func(line string) {
			s.Logs.Add(line)
			if o.Log != nil {
				o.Log(line)
			}
		},
		JSONLog: true, // as deployed
	})
	if err != nil {
		atSecretsManager.Close()
		atPanther.Close()
		return nil, err
	}

	history := s.observe(&o)
	s.pantherAddress = atPanther.Addr().String()
	o.SecretsManager.HasFunction = func(arn string) bool { return arn == s.Function.ARN() }
	o.SecretsManager.Invoke = func(ctx context.Context, _ string, event []byte) error {
		_, err := s.Function.Invoke(ctx, event)
		return err
	}
	s.SecretsManager = secretsmanager.New(o.SecretsManager)
	s.Panther = panther.New(o.Panther)
	s.serve(atSecretsManager, s.aws(history))
	s.panther = s.serve(atPanther, s.Panther)
	return s, nil
}

// observe has the stand-ins report to the log, to CloudTrail and to the faults.
func (s *Sandbox) observe(o *Options) *trail {
	s.Logs = cloudwatchlogs.New(s.Function.LogGroup(), s.Region, o.SecretsManager.AccountID)
	history := &trail{region: s.Region, account: o.SecretsManager.AccountID}
	onEvent := o.SecretsManager.OnEvent
	o.SecretsManager.OnEvent = func(e secretsmanager.Event) {
		history.add(e)
		if onEvent != nil {
			onEvent(e)
		}
	}

	s.tokenKey = cmp.Or(o.Env["SECRET_TOKEN_KEY"], "PANTHER_API_TOKEN")
	s.standbyKey = cmp.Or(o.Env["SECRET_STANDBY_KEY"], s.tokenKey+"_STANDBY")
	s.propagation = o.Panther.PropagationDelay
	s.faults.on, s.faults.report = map[string]*Fault{}, o.OnFault
	if o.OnFault == nil {
		s.faults.report = func(string) {}
	}
	o.SecretsManager.Region = s.Region
	s.hook(o)
	return history
}

// aws sends each request to the service that it is for.
func (s *Sandbox) aws(history *trail) http.Handler {
	lambda := s.Function.REST()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := r.Header.Get("X-Amz-Target")
		switch {
		case strings.HasPrefix(r.URL.Path, "/2015-03-31/"):
			lambda.ServeHTTP(w, r)
		case strings.HasPrefix(target, cloudwatchlogs.TargetPrefix):
			s.Logs.ServeHTTP(w, r)
		case strings.HasPrefix(target, trailPrefix):
			history.ServeHTTP(w, r)
		default:
			s.SecretsManager.ServeHTTP(w, r)
		}
	})
}

func (s *Sandbox) serve(listener net.Listener, handler http.Handler) *http.Server {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	s.serving.Go(func() { server.Serve(listener) }) // ends when the server is closed
	return server
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
	s.faults.switching.Lock()
	defer s.faults.switching.Unlock()
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
