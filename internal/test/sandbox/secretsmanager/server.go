// Package secretsmanager stands in for AWS Secrets Manager: in memory, on the
// real wire protocol, so that the aws CLI and every SDK work with it. It drives
// rotations as the real service does.
//
// It follows AWS's documentation and what others recorded of the real service.
// It leaves out what rotation does not concern: resource policies, replication,
// encryption (a KMS key is shown, like tags, and means nothing),
// filters, the purging of old versions and the checking of signatures. An
// operation or parameter that it does not have is an error that says so.
package secretsmanager

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Invoke runs the rotation function with an event, and returns when it is done,
// with an error if the function failed.
type Invoke func(ctx context.Context, functionARN string, event []byte) error

// Options are the sandbox's settings. The zero value is a well-behaved service
// that cannot rotate.
type Options struct {
	// Region and AccountID go into ARNs: eu-west-1 and 123456789012 by default.
	Region, AccountID string

	// Invoke runs rotation functions, and HasFunction shows which there are. If
	// either is nil, there is none. HasFunction must not call the Server.
	Invoke      Invoke
	HasFunction func(functionARN string) bool

	// Speed is how many times as short as documented the service's long periods
	// are: between rotations, and before a version or a secret is removed. All
	// dates are true. 0 means 1.
	Speed float64

	// RotationAttempts is how often a rotation is run in all when a step fails,
	// and RetryPause the real time between: 3 times and 2 s by default. AWS says
	// only that it retries "multiple times", so the defaults are a guess: the
	// fewest that are more than one retry, soon enough for a person who watches.
	// After the last, the rotation is stuck until RotateSecret or the schedule
	// runs it again.
	RotationAttempts int
	RetryPause       time.Duration

	// ReadLag is a quirk of the real service: for so long, GetSecretValue does
	// not see a value that was just stored
	// (https://github.com/aws/aws-sdk-js-v3/issues/7701).
	ReadLag time.Duration

	// ThrottleEvery is another: every nth request is turned away with
	// ThrottlingException. 0 means none.
	ThrottleEvery int

	// OnCall is called for each request when it is done, OnEvent of what happens in
	// rotations. Neither is told a value. They may be called from several
	// goroutines at once.
	OnCall  func(Call)
	OnEvent func(Event)

	// Fault, for tests, is asked at each request whether it goes wrong.
	Fault func(operation, secretID string) *Fault
}

// Call is one request. Stages and VersionID are those of the request, or of the
// version that it read.
type Call struct {
	Time      time.Time
	UserAgent string
	Operation string
	SecretID  string
	VersionID string
	Stages    []string
	ErrorCode string // empty if it succeeded
	Duration  time.Duration
	Ignored   bool // a PutSecretValue that changed nothing
}

// Event is a stage of a rotation. Names are those of AWS's CloudTrail service
// events (RotationStarted, RotationSucceeded, RotationFailed, RotationAbandoned,
// TestRotationStarted, TestRotationSucceeded, TestRotationFailed;
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html),
// and StepStarted, StepSucceeded and StepFailed for the steps between, which are
// the sandbox's own.
type Event struct {
	Time      time.Time // real time
	Name      string
	SecretARN string
	VersionID string
	Step      string        // empty if it is about the whole rotation
	Duration  time.Duration // of what ended, in real time
	Err       error         // why it failed: of a step, what Invoke returned
}

// Fault is a request that goes wrong: an error answer (HTTPStatus 500 by
// default), no answer, or a broken connection; before the request took effect or
// after it.
type Fault struct {
	Code, Message  string
	HTTPStatus     int
	AfterEffect    bool
	Hang           bool
	DropConnection bool
}

// Server is the service. It is an http.Handler.
type Server struct {
	options  Options
	requests atomic.Int64

	mu      sync.Mutex // not held while the function, OnCall or OnEvent run
	secrets []*secret
	untold  []Event // what happened under mu, for OnEvent

	life    context.Context
	end     context.CancelFunc
	working sync.WaitGroup
	idle    *sync.Cond // of mu: a rotation has come to its end
	running int        // rotations, guarded by mu
}

// New starts a service. Close ends it.
func New(o Options) *Server {
	if o.Region == "" {
		o.Region = "eu-west-1"
	}
	if o.AccountID == "" {
		o.AccountID = "123456789012"
	}
	if o.Speed == 0 {
		o.Speed = 1
	}
	if o.RotationAttempts == 0 {
		o.RotationAttempts = 3
	}
	if o.RetryPause == 0 {
		o.RetryPause = 2 * time.Second
	}
	if o.HasFunction == nil || o.Invoke == nil {
		o.HasFunction = func(string) bool { return false }
	}
	s := &Server{options: o}
	s.idle = sync.NewCond(&s.mu)
	s.life, s.end = context.WithCancel(context.Background())
	s.working.Go(s.runSchedules)
	return s
}

// Close stops schedules and rotations, ends requests that hang, and returns when
// all of it has stopped. A function that runs has its context cancelled.
func (s *Server) Close() {
	s.mu.Lock()
	s.end() // under mu, so that no rotation starts any more
	s.mu.Unlock()
	s.working.Wait()
}

// AwaitIdle returns when no rotation is running.
func (s *Server) AwaitIdle(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.idle.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.running > 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.idle.Wait()
	}
	return nil
}

// period is a documented period at the service's speed.
func (s *Server) period(d time.Duration) time.Duration {
	return time.Duration(float64(d) / s.options.Speed)
}

// unlockAndTell unlocks mu and has OnEvent know what happened meanwhile.
func (s *Server) unlockAndTell() {
	untold := s.untold
	s.untold = nil
	s.mu.Unlock()
	for _, e := range untold {
		s.tell(e)
	}
}

func (s *Server) tell(e Event) {
	if s.options.OnEvent != nil {
		e.Time = time.Now()
		s.options.OnEvent(e)
	}
}

// find returns the secret that id names. Those marked for deletion are an error.
func (s *Server) find(id string) (*secret, *apiError) {
	sec, failure := s.lookUp(id)
	if failure == nil && !sec.deleted.IsZero() {
		return nil, errDeleted()
	}
	return sec, failure
}

func (s *Server) lookUp(id string) (*secret, *apiError) {
	if id == "" {
		return nil, errValidation("1 validation error detected: SecretId must not be empty")
	}
	for _, sec := range s.secrets {
		if sec.isNamedBy(id) {
			return sec, nil
		}
	}
	return nil, errSecretNotFound()
}
