package secretsmanager

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
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

// rotateSecret sets up the rotation and starts one, or a test of it. What goes on
// after that is in rotate and testRotation.
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
	functionARN := cmp.Or(in.RotationLambdaARN, sec.rotation.functionARN)
	switch {
	case functionARN == "":
		return nil, errNoLambda()
	case !s.options.HasFunction(functionARN):
		return nil, errCannotInvoke()
	case sec.labelled(labelCurrent) == nil:
		return nil, errNothingToRotate()
	}

	output := versionOutput{ARN: sec.arn, Name: sec.name, VersionId: id}
	pending := sec.labelled(labelPending)
	stuck := pending != nil && pending.isUnfinished() && !sec.rotation.working[pending.id]
	switch {
	case sec.version(id) != nil && !(stuck && pending.id == id):
		// The same request again. The token is there "to prevent the accidental
		// creation of duplicate versions if there are failures and retries"
		// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html).
		return output, nil
	case stuck:
		// The configuration stays as it is, but for what the rotation cannot be
		// run without.
		sec.rotation.functionARN = cmp.Or(sec.rotation.functionARN, functionARN)
		sec.rotation.enabled = true
		s.start(sec, pending.id, s.rotate)
		return nil, errRotationNotComplete()
	case pending != nil && pending.isUnfinished():
		return nil, errRotationNotComplete()
	}

	sec.rotation.functionARN, sec.rotation.enabled = functionARN, true
	if in.RotationRules != nil {
		sec.rotation.rules = in.RotationRules
	}
	s.plan(sec)
	if in.RotateImmediately != nil && !*in.RotateImmediately {
		s.begin(sec, id, sec.labelled(labelCurrent).value)
		s.start(sec, id, s.testRotation)
	} else {
		s.begin(sec, id, nil)
		s.start(sec, id, s.rotate)
	}
	return output, nil
}

// begin makes the version of a rotation, unless it is there from an attempt
// before.
func (s *Server) begin(sec *secret, id string, val *value) {
	v := sec.version(id)
	if v == nil {
		sec.purge(s.period(keptFor))
		v = &version{id: id, created: time.Now(), value: val}
		sec.versions = append(sec.versions, v)
	}
	sec.label(v, labelPending)
}

// start has a rotation work next to the requests, and says how it ended. The lock
// is held.
func (s *Server) start(sec *secret, id string, work func(sec *secret, id string) (end string, err error)) {
	if s.life.Err() != nil {
		return
	}
	if sec.rotation.working == nil {
		sec.rotation.working = map[string]bool{}
	}
	sec.rotation.working[id] = true
	s.running++
	s.working.Go(func() {
		started := time.Now()
		end, err := work(sec, id)
		took := time.Since(started)
		s.mu.Lock()
		delete(sec.rotation.working, id) // first: whoever hears of the end may call RotateSecret
		s.mu.Unlock()
		if end != "" {
			s.tell(Event{Name: end, SecretARN: sec.arn, VersionID: id, Duration: took, Err: err})
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running--
		s.idle.Broadcast()
	})
}

// A stop is why a rotation is over that neither succeeded nor failed in a step.
// It is not retried.
type stop string

func (why stop) Error() string { return string(why) }

const (
	stopAbandoned stop = "AWSPENDING was taken off the version of the rotation"
	stopCancelled stop = "the rotation was cancelled"
	stopDeleted   stop = "the secret was deleted"
)

// rotate runs the four steps, and all of them again if one fails. It returns the
// event to tell, empty if there is none.
func (s *Server) rotate(sec *secret, id string) (end string, err error) {
	s.tell(Event{Name: "RotationStarted", SecretARN: sec.arn, VersionID: id})
	err = s.runSteps(sec, id, steps)
	for attempt := 1; err != nil && attempt < s.options.RotationAttempts; attempt++ {
		if _, over := errors.AsType[stop](err); over || !s.pause(s.options.RetryPause) {
			break
		}
		err = s.runSteps(sec, id, steps)
	}
	switch {
	case s.life.Err() != nil:
		return "", nil
	case errors.Is(err, stopAbandoned):
		return "", nil // tellIfAbandoned has told
	case err != nil:
		return "RotationFailed", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sec.version(id).remove(labelPending)
	sec.rotation.last = time.Now()
	s.plan(sec)
	return "RotationSucceeded", nil
}

// errNotCurrent is a rotation whose finishSecret did not move AWSCURRENT.
var errNotCurrent = errors.New("the function did not move AWSCURRENT to the new version")

// runSteps invokes the function for each step in turn, as long as the rotation is
// wanted. A new RotationToken comes with each run.
func (s *Server) runSteps(sec *secret, id string, steps []string) error {
	rotationToken := rand.Text()
	for _, step := range steps {
		functionARN, err := s.next(sec, id)
		if err != nil {
			return err
		}
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
			if _, why := s.next(sec, id); why != nil {
				return why // the step failed for that
			}
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

// next returns the function to invoke for the next step, or a stop.
func (s *Server) next(sec *secret, id string) (functionARN string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := sec.version(id)
	switch {
	case !v.has(labelPending) && !v.has(labelCurrent):
		return "", stopAbandoned
	case !sec.deleted.IsZero():
		return "", stopDeleted
	case !sec.rotation.enabled:
		return "", stopCancelled
	}
	return sec.rotation.functionARN, nil
}

// testRotation runs testSecret alone, on a version with the current value that is
// there for that only
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html,
// RotateImmediately).
func (s *Server) testRotation(sec *secret, id string) (end string, err error) {
	s.tell(Event{Name: "TestRotationStarted", SecretARN: sec.arn, VersionID: id})
	err = s.runSteps(sec, id, []string{"testSecret"})
	s.mu.Lock()
	sec.versions = slices.DeleteFunc(sec.versions, func(v *version) bool { return v.id == id && !v.has(labelCurrent) })
	s.mu.Unlock()
	switch {
	case s.life.Err() != nil:
		return "", nil
	case err != nil:
		return "TestRotationFailed", err
	}
	return "TestRotationSucceeded", nil
}

// tellIfAbandoned has OnEvent know when the version that had AWSPENDING before a
// request lost it without being AWSCURRENT: that abandons its rotation. The lock is
// held.
func (s *Server) tellIfAbandoned(sec *secret, pending *version) {
	if pending == nil || pending.has(labelPending) || pending.has(labelCurrent) || sec.rotation.functionARN == "" {
		return
	}
	s.untold = append(s.untold, Event{Name: "RotationAbandoned", SecretARN: sec.arn, VersionID: pending.id})
}

// cancelRotateSecret turns rotation off. A rotation under way ends before its next
// step. AWSPENDING stays where it is
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CancelRotateSecret.html).
func (s *Server) cancelRotateSecret(call *Call, in struct{ SecretId string }) (any, *apiError) {
	sec, failure := s.find(in.SecretId)
	if failure != nil {
		return nil, failure
	}
	if sec.rotation.functionARN == "" {
		return nil, errNoRotation()
	}
	sec.rotation.enabled, sec.rotation.next = false, time.Time{}
	if pending := sec.labelled(labelPending); pending != nil && pending.isUnfinished() {
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
