package secretsmanager

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"strconv"
	"time"
)

var steps = []string{"createSecret", "setSecret", "testSecret", "finishSecret"}

// event is what the rotation function is invoked with.
type event struct {
	Step               string
	SecretId           string
	ClientRequestToken string
	RotationToken      string
}

func (s *Server) tell(e Event) {
	if s.options.OnEvent != nil {
		e.Time = time.Now()
		s.options.OnEvent(e)
	}
}

// rotateSecret sets up the rotation and starts one, unless it is only to be
// tested. What goes on after that is in work.
func (s *Server) rotateSecret(call *Call, in struct {
	SecretId, ClientRequestToken, RotationLambdaARN string
	RotationRules                                   *rotationRules
	RotateImmediately                               *bool
}) (any, *apiError) {
	sec, failure := s.find(in.SecretId)
	if failure != nil {
		return nil, failure
	}
	id, failure := versionID(in.ClientRequestToken)
	if failure != nil {
		return nil, failure
	}
	call.VersionID = id
	if in.RotationRules != nil {
		if failure := in.RotationRules.check(); failure != nil {
			return nil, failure
		}
	}
	functionARN := sec.rotation.functionARN
	if in.RotationLambdaARN != "" {
		functionARN = in.RotationLambdaARN
	}
	switch {
	case functionARN == "":
		return nil, errNoLambda()
	case !s.options.HasFunction(functionARN):
		return nil, errCannotInvoke()
	case sec.labelled(labelCurrent) == nil:
		return nil, clientError("InvalidRequestException", "You can't rotate this secret because it has no value.")
	}

	pending := sec.labelled(labelPending)
	if pending != nil && !pending.has(labelCurrent) {
		if !sec.rotation.working {
			s.start(sec, pending.id, s.rotate)
		}
		return nil, errRotationNotComplete()
	}
	sec.rotation.functionARN, sec.rotation.enabled = functionARN, true
	if in.RotationRules != nil {
		sec.rotation.rules = in.RotationRules
	}
	sec.rotation.plan(s.now())
	if in.RotateImmediately != nil && !*in.RotateImmediately {
		s.begin(sec, id, sec.labelled(labelCurrent).value)
		s.start(sec, id, s.testRotation)
	} else {
		s.begin(sec, id, nil)
		s.start(sec, id, s.rotate)
	}
	return versionOutput{ARN: sec.arn, Name: sec.name, VersionId: id}, nil
}

// begin makes the version of a rotation.
func (s *Server) begin(sec *secret, id string, val *value) {
	v := sec.version(id)
	if v == nil {
		v = &version{id: id, created: s.now(), value: val}
		sec.versions = append(sec.versions, v)
	}
	sec.label(v, labelPending)
}

// start has a rotation work beside the requests. The lock is held.
func (s *Server) start(sec *secret, id string, work func(sec *secret, id string)) {
	sec.rotation.working = true
	s.running++
	s.working.Go(func() {
		work(sec, id)
		s.mu.Lock()
		defer s.mu.Unlock()
		sec.rotation.working = false
		s.running--
		s.idle.Broadcast()
	})
}

// rotate runs the four steps, and all of them again if one fails.
func (s *Server) rotate(sec *secret, id string) {
	s.tell(Event{Name: "RotationStarted", SecretARN: sec.arn, VersionID: id})
	started := time.Now()
	var err error
	for attempt := range s.options.RotationAttempts {
		if attempt > 0 && !s.pause(s.options.RetryPause) {
			return
		}
		if s.isAbandoned(sec, id) {
			return
		}
		if err = s.runSteps(sec, id, steps); err == nil {
			break
		}
	}
	if s.life.Err() != nil || s.isAbandoned(sec, id) {
		return
	}
	if err != nil {
		s.tell(Event{Name: "RotationFailed", SecretARN: sec.arn, VersionID: id, Duration: time.Since(started), Err: err})
		return
	}
	s.mu.Lock()
	v := sec.version(id)
	v.remove(labelPending)
	sec.rotation.last = s.now()
	sec.rotation.plan(s.now())
	s.mu.Unlock()
	s.tell(Event{Name: "RotationSucceeded", SecretARN: sec.arn, VersionID: id, Duration: time.Since(started)})
}

// errNotCurrent is a rotation whose finishSecret did not move AWSCURRENT.
var errNotCurrent = errors.New("the function did not move AWSCURRENT to the new version")

// runSteps invokes the function for each step in turn. A new RotationToken comes
// with each run.
func (s *Server) runSteps(sec *secret, id string, steps []string) error {
	rotationToken := rand.Text()
	for _, step := range steps {
		s.mu.Lock()
		functionARN := sec.rotation.functionARN
		s.mu.Unlock()
		payload, err := json.Marshal(event{step, sec.arn, id, rotationToken})
		if err != nil {
			return err
		}
		s.tell(Event{Name: "StepStarted", SecretARN: sec.arn, VersionID: id, Step: step})
		started := time.Now()
		err = s.options.Invoke(s.life, functionARN, payload)
		took := time.Since(started)
		if err != nil {
			s.tell(Event{Name: "StepFailed", SecretARN: sec.arn, VersionID: id, Step: step, Duration: took, Err: err})
			return err
		}
		s.tell(Event{Name: "StepSucceeded", SecretARN: sec.arn, VersionID: id, Step: step, Duration: took})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(steps) > 1 && !sec.version(id).has(labelCurrent) {
		return errNotCurrent
	}
	return nil
}

// testRotation runs testSecret alone, on a version with the current value that is
// there for that only
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html,
// RotateImmediately).
func (s *Server) testRotation(sec *secret, id string) {
	s.tell(Event{Name: "TestRotationStarted", SecretARN: sec.arn, VersionID: id})
	started := time.Now()
	err := s.runSteps(sec, id, []string{"testSecret"})
	s.mu.Lock()
	for i, v := range sec.versions {
		if v.id == id {
			sec.versions = append(sec.versions[:i:i], sec.versions[i+1:]...)
			break
		}
	}
	s.mu.Unlock()
	name := "TestRotationSucceeded"
	if err != nil {
		name = "TestRotationFailed"
	}
	s.tell(Event{Name: name, SecretARN: sec.arn, VersionID: id, Duration: time.Since(started), Err: err})
}

// abandon ends the rotation that a new AWSCURRENT, made by hand, has overtaken.
// The lock is held.
func (s *Server) abandon(sec *secret) {
	pending := sec.labelled(labelPending)
	if pending == nil || pending.has(labelCurrent) {
		return
	}
	pending.remove(labelPending)
	s.tell(Event{Name: "RotationAbandoned", SecretARN: sec.arn, VersionID: pending.id})
}

func (s *Server) isAbandoned(sec *secret, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := sec.version(id)
	return v == nil || !v.has(labelPending) && !v.has(labelCurrent)
}

func (s *Server) cancelRotateSecret(call *Call, in struct{ SecretId string }) (any, *apiError) {
	sec, failure := s.find(in.SecretId)
	if failure != nil {
		return nil, failure
	}
	if sec.rotation.functionARN == "" {
		return nil, clientError("InvalidRequestException", "You can't cancel rotation for a secret that has no rotation configured.")
	}
	sec.rotation.enabled, sec.rotation.next = false, time.Time{}
	if pending := sec.labelled(labelPending); pending != nil {
		call.VersionID = pending.id
	}
	return versionOutput{ARN: sec.arn, Name: sec.name, VersionId: call.VersionID}, nil
}

// pause waits, in real time, unless the service ends.
func (s *Server) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.life.Done():
		return false
	}
}

// pageToken is opaque to callers.
func pageToken(item int) string { return "item-" + strconv.Itoa(item) }
