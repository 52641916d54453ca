package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox/panther"
	"panther-token-rotation/internal/test/sandbox/secretsmanager"
)

// Fault is something that goes wrong on demand, from On until Off. A fault
// without an Off happens once, at once.
type Fault struct {
	Name string
	// Does says what goes wrong, and Watch where that shows.
	Does, Watch string
	Once        bool

	switchOn, switchOff func(ctx context.Context, s *Sandbox) error
	// atStoring strikes the first write after Panther gave a new token, and each
	// further one until a write succeeds.
	atStoring func(s *Sandbox, secretID string) *secretsmanager.Fault
	// atPanther strikes each request to Panther.
	atPanther func(panther.Request) *panther.Fault
}

// slowly is longer than any function waits for a new token.
const slowly = time.Hour

// Faults are all that can be switched on.
var Faults = []Fault{
	{Name: "write-fails", Does: "Secrets Manager fails each write that stores a new token",
		Watch: "store_failed in the log, then NotStored shortly before the timeout. The process holds the token",
		atStoring: func(*Sandbox, string) *secretsmanager.Fault {
			return &secretsmanager.Fault{Code: "InternalServiceError", Message: "An error occurred on the server side."}
		}},
	{Name: "answer-lost", Does: "Panther rotates, and its answer does not arrive",
		Watch: "TokenLost of a single token, StandbyLost of one of two tokens",
		atPanther: func(r panther.Request) *panther.Fault {
			if r.Operation == panther.RotateAPIToken && r.Token == panther.Living {
				return &panther.Fault{Kind: panther.Reset, AfterEffect: true}
			}
			return nil
		}},
	{Name: "process-dies", Does: "the function's process is killed after it rotated, before it stores",
		Watch: "platform.report with Runtime.ExitError, then TokenRefused or StandbyRefused",
		atStoring: func(s *Sandbox, _ string) *secretsmanager.Fault {
			s.Function.Kill()
			s.faults.note(false) // the token died with it
			return &secretsmanager.Fault{DropConnection: true}
		}},
	{Name: "process-retires", Does: "Lambda ends the function's processes with SIGTERM and 300 ms notice", Once: true,
		Watch: "after NotStored: held_token_stored or successor_stored, if a write works by then",
		switchOn: func(_ context.Context, s *Sandbox) error {
			s.Function.Retire()
			return nil
		}},
	{Name: "token-dies", Does: "the active token in the secret is deleted in Panther's console", Once: true,
		Watch: "at the next rotation TokenRefused; with two tokens it succeeds, with standby_refused in the log",
		switchOn: func(ctx context.Context, s *Sandbox) error {
			_, err := s.DeleteToken(ctx, "active")
			return err
		}},
	{Name: "slow-propagation", Does: "Panther refuses each new token for an hour",
		Watch: "token_not_yet_working in the log, then NotYetWorking after PROPAGATION_TIMEOUT",
		switchOn: func(_ context.Context, s *Sandbox) error {
			s.Panther.SetPropagation(slowly)
			return nil
		},
		switchOff: func(_ context.Context, s *Sandbox) error {
			s.Panther.SetPropagation(s.propagation)
			return nil
		}},
	{Name: "panther-unreachable", Does: "Panther's address refuses connections",
		Watch:     "rotate_failed in the log, then PantherUnavailable. Nothing is rotated",
		switchOn:  func(_ context.Context, s *Sandbox) error { return s.panther.Close() },
		switchOff: func(_ context.Context, s *Sandbox) error { return s.reopenPanther() }},
	{Name: "saved-by-hand", Does: "a person saves the secret again, with its old tokens, while the function stores a new one",
		Watch: "StaleSave of a single token, Abandoned of one of two tokens",
		atStoring: func(s *Sandbox, secretID string) *secretsmanager.Fault {
			s.faults.off("saved-by-hand") // one save is enough
			if err := s.saveAgain(context.Background(), secretID); err != nil {
				s.faults.report("saved-by-hand: " + err.Error())
			}
			return nil
		}},
}

// faults are those that are on.
type faults struct {
	report    func(text string) // never nil
	switching sync.Mutex        // held while a fault is switched, and servers come and go

	mu       sync.Mutex
	on       map[string]*Fault
	unstored bool // Panther gave a token that no write has stored
}

func (f *faults) off(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.on, name)
}

// active returns the faults that are on, in the order of Faults, and whether a
// token waits to be stored.
func (f *faults) active() (on []*Fault, unstored bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range Faults {
		if fault := f.on[Faults[i].Name]; fault != nil {
			on = append(on, fault)
		}
	}
	return on, f.unstored
}

func (f *faults) note(unstored bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unstored = unstored
}

// hook has the faults strike, after those that the options have.
func (s *Sandbox) hook(o *Options) {
	pantherFault, pantherCall := o.Panther.Fault, o.Panther.OnCall
	o.Panther.Fault = func(r panther.Request) *panther.Fault {
		if pantherFault != nil {
			if fault := pantherFault(r); fault != nil {
				return fault
			}
		}
		on, _ := s.faults.active()
		for _, f := range on {
			if f.atPanther == nil {
				continue
			}
			if fault := f.atPanther(r); fault != nil {
				s.faults.report(f.Name + " strikes: " + f.Does)
				return fault
			}
		}
		return nil
	}
	o.Panther.OnCall = func(c panther.Call) {
		if c.Rotated && c.Status != 0 { // without an answer, nobody has the token
			s.faults.note(true)
		}
		if pantherCall != nil {
			pantherCall(c)
		}
	}
	storeFault, storeCall := o.SecretsManager.Fault, o.SecretsManager.OnCall
	o.SecretsManager.Fault = func(operation, secretID string) *secretsmanager.Fault {
		if storeFault != nil {
			if fault := storeFault(operation, secretID); fault != nil {
				return fault
			}
		}
		on, unstored := s.faults.active()
		for _, f := range on {
			if f.atStoring == nil || !unstored || operation != "PutSecretValue" {
				continue
			}
			s.faults.report(f.Name + " strikes: " + f.Does)
			if fault := f.atStoring(s, secretID); fault != nil {
				return fault
			}
		}
		return nil
	}
	o.SecretsManager.OnCall = func(c secretsmanager.Call) {
		if c.Operation == "PutSecretValue" && c.ErrorCode == "" && !c.Ignored && !strings.Contains(c.UserAgent, byHand) {
			s.faults.note(false)
		}
		if storeCall != nil {
			storeCall(c)
		}
	}
}

// On switches a fault on.
func (s *Sandbox) On(ctx context.Context, name string) (*Fault, error) {
	f, err := faultNamed(name)
	if err != nil {
		return nil, err
	}
	s.faults.switching.Lock()
	defer s.faults.switching.Unlock()
	s.faults.mu.Lock()
	_, already := s.faults.on[name]
	if len(s.faults.on) == 0 {
		s.faults.unstored = false // the first fault is about tokens to come
	}
	if !f.Once {
		s.faults.on[name] = f
	}
	s.faults.mu.Unlock()
	if f.switchOn == nil || already {
		return f, nil
	}
	if err := f.switchOn(ctx, s); err != nil {
		s.faults.off(name)
		return f, err
	}
	return f, nil
}

// Off switches a fault off. It may be off already.
func (s *Sandbox) Off(ctx context.Context, name string) (*Fault, error) {
	f, err := faultNamed(name)
	if err != nil {
		return nil, err
	}
	if f.Once {
		return f, fmt.Errorf("%s happened at once and cannot be switched off", name)
	}
	s.faults.switching.Lock()
	defer s.faults.switching.Unlock()
	if f.switchOff != nil && s.IsOn(name) {
		if err := f.switchOff(ctx, s); err != nil {
			return f, err // it is still on
		}
	}
	s.faults.off(name)
	return f, nil
}

// IsOn reports whether a fault is on.
func (s *Sandbox) IsOn(name string) bool {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return s.faults.on[name] != nil
}

func faultNamed(name string) (*Fault, error) {
	for i := range Faults {
		if Faults[i].Name == name {
			return &Faults[i], nil
		}
	}
	return nil, fmt.Errorf("there is no fault %q", name)
}

// reopenPanther listens at Panther's address again.
func (s *Sandbox) reopenPanther() error {
	listener, err := net.Listen("tcp", s.pantherAddress)
	if err != nil {
		return err
	}
	s.panther = s.serve(listener, s.Panther)
	return nil
}

// SecretName is the secret whose tokens Tokens and DeleteToken are about. Faults
// strike rotations of any.
const SecretName = "acme/panther"

const byHand = "by-hand"

// Client is a client of the sandbox's Secrets Manager.
func (s *Sandbox) Client() *sdk.Client {
	return sdk.New(sdk.Options{
		Region: s.Region, BaseEndpoint: &s.SecretsManagerURL, AppID: byHand,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "sandbox", SecretAccessKey: "sandbox"}, nil
		}),
	})
}

// Tokens returns the tokens in a version of the secret, active first, and the
// value that has them. A version is named by its label, or by its id.
func (s *Sandbox) Tokens(ctx context.Context, version string) (tokens []string, value string, err error) {
	in := &sdk.GetSecretValueInput{SecretId: aws.String(SecretName), VersionStage: &version}
	if !strings.HasPrefix(version, "AWS") {
		in = &sdk.GetSecretValueInput{SecretId: aws.String(SecretName), VersionId: &version}
	}
	out, err := s.Client().GetSecretValue(ctx, in)
	if err != nil {
		return nil, "", err
	}
	value = aws.ToString(out.SecretString)
	var object map[string]any
	if json.Unmarshal([]byte(value), &object) != nil {
		return []string{strings.TrimSpace(value)}, value, nil
	}
	for _, key := range []string{s.tokenKey, s.standbyKey} {
		if token, ok := object[key].(string); ok {
			tokens = append(tokens, token)
		}
	}
	if len(tokens) == 0 {
		return nil, value, errors.New("the secret " + SecretName + " has no token")
	}
	return tokens, value, nil
}

// DeleteToken deletes a token in Panther: by its id, or the active or the standby
// of AWSCURRENT. It returns the id.
func (s *Sandbox) DeleteToken(ctx context.Context, which string) (id string, err error) {
	id = which
	if place := map[string]int{"active": 1, "standby": 2}[which]; place > 0 {
		tokens, _, err := s.Tokens(ctx, "AWSCURRENT")
		switch {
		case err != nil:
			return "", fmt.Errorf("cannot read the secret %s: %w", SecretName, err)
		case place > len(tokens):
			return "", errors.New("the secret " + SecretName + " has one token, and no standby")
		}
		if id = s.Panther.ID(tokens[place-1]); id == "" {
			return "", fmt.Errorf("the %s token of the secret %s is unknown to Panther", which, SecretName)
		}
	}
	if !s.Panther.Delete(id) {
		return "", fmt.Errorf("there is no token %s", id)
	}
	return id, nil
}

// saveAgain puts the value that a secret's AWSCURRENT has, as a new version.
func (s *Sandbox) saveAgain(ctx context.Context, secretID string) error {
	out, err := s.Client().GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: &secretID})
	if err == nil {
		_, err = s.Client().PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: &secretID, SecretString: out.SecretString})
	}
	return err
}
