package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	smithyrand "github.com/aws/smithy-go/rand"
	"github.com/spf13/cobra"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secretsmanager"
)

func (t *tool) rotateCommand() *cobra.Command {
	var test, drop bool
	var timeout time.Duration
	c := t.command("rotate SECRET", "Rotate a secret now, or resume its rotation, and follow it to the end",
		`A rotation that is not finished is resumed; repeating is always safe. If a step
fails, this shows the function's error from its log. The rotation runs in AWS:
Ctrl-C ends the display alone.

--test tests the settings without rotating. --drop-pending removes AWSPENDING
from a version that blocks rotation, after Panther was asked: only if that
version holds no living token of its own.`,
		"  panther-token rotate acme/panther\n  panther-token rotate acme/panther --test\n  panther-token rotate acme/panther --drop-pending",
		func(ctx context.Context, secretID string) error {
			s, described, err := t.open(ctx, secretID)
			if err != nil {
				return err
			}
			if drop {
				return s.dropPending(ctx)
			}
			if err := s.mayRotate(ctx, described, test); err != nil {
				return err
			}
			return s.rotate(ctx, described, test, timeout)
		})
	c.Flags().BoolVar(&test, "test", false, "test the settings; rotate nothing")
	c.Flags().BoolVar(&drop, "drop-pending", false, "remove AWSPENDING where it blocks rotation and protects no token")
	c.Flags().DurationVar(&timeout, "timeout", 15*time.Minute, "how long to follow the rotation")
	c.MarkFlagsMutuallyExclusive("test", "drop-pending")
	return t.yesFlag(c)
}

// mayRotate asks about a rotation that would cost more than it looks.
func (s *target) mayRotate(ctx context.Context, d *sdk.DescribeSecretOutput, test bool) error {
	switch {
	case d.DeletedDate != nil:
		return refuse("aws secretsmanager restore-secret --secret-id "+s.name, "the secret is scheduled for deletion")
	case d.RotationLambdaARN == nil:
		return refuse("aws secretsmanager rotate-secret --secret-id "+s.name+" --rotation-lambda-arn FUNCTION --rotation-rules AutomaticallyAfterDays=30", "rotation was never set up for the secret")
	case !aws.ToBool(d.RotationEnabled):
		if err := s.confirm(ctx, "--yes", "Rotation is switched off. Rotating switches it on again. Continue?"); err != nil {
			return err
		}
	}
	if test || pendingID(d) != "" || time.Since(aws.ToTime(d.LastRotatedDate)) > time.Hour {
		return nil
	}
	current, err := s.readCurrent(ctx)
	if err != nil {
		return err
	}
	if _, two := current.value.Standby(); !two {
		return nil
	}
	return s.confirm(ctx, "--yes", "The secret was rotated %s. A second rotation shuts out readers that still use the token from before it. Rotate?", ago(*d.LastRotatedDate))
}

// rotate starts or resumes a rotation and follows it.
func (s *target) rotate(ctx context.Context, before *sdk.DescribeSecretOutput, test bool, timeout time.Duration) error {
	const clocksDiffer = 10 * time.Minute
	started := time.Now()
	f := &following{target: s, id: pendingID(before), test: test, before: before, started: started, since: started.Add(-clocksDiffer), quiet: started}
	f.skipSteps(ctx)
	id, err := smithyrand.NewUUID(smithyrand.Reader).GetUUID()
	if err != nil {
		return err
	}
	s.interrupted = "The rotation may have begun. Look at it with: panther-token status " + s.name
	in := &sdk.RotateSecretInput{SecretId: &s.name, ClientRequestToken: &id, RotateImmediately: aws.Bool(!test)}
	_, err = s.secrets.RotateSecret(ctx, in)
	invalid, isInvalid := errors.AsType[*types.InvalidRequestException](err)
	switch {
	case err == nil:
	case isInvalid && strings.Contains(invalid.ErrorMessage(), "previous rotation isn't complete"):
		if test {
			return refuse("panther-token rotate "+s.name, "a rotation is not finished, so nothing can be tested")
		}
		now, err := s.describe(ctx)
		if err != nil {
			return err
		}
		pending := pendingID(now)
		if pending == "" {
			return refuse("panther-token status "+s.name, "another rotation ended in this moment")
		}
		if pending != id { // else the answer of the SDK's first attempt was lost
			id = pending
			s.say("Secrets Manager resumes the rotation that was not finished.")
		}
	case errors.Is(secretsmanager.Classify("RotateSecret", err), rotation.ErrNoAnswer):
		return refuse("panther-token status "+s.name, "RotateSecret got no answer, so the rotation may have begun")
	default:
		return secretsmanager.Classify("RotateSecret", err)
	}
	s.interrupted = "The rotation goes on in AWS. Look at it with: panther-token status " + s.name
	if f.id != id {
		f.id, f.done = id, 0
	}
	for time.Since(started) < timeout {
		if ended, err := f.look(ctx); ended || err != nil {
			return err
		}
		if !pause(ctx, s.pauses.poll) {
			return ctx.Err()
		}
	}
	return refuse("panther-token status "+s.name, "the rotation did not end in %s; it may still go on", timeout)
}

// following is a rotation that is being followed.
type following struct {
	*target
	id      string
	test    bool
	started time.Time
	since   time.Time // the first line of the log that counts
	quiet   time.Time // when something last happened
	done    int       // lines of the log that were shown
	passed  bool      // a step succeeded
	failed  *line
	before  *sdk.DescribeSecretOutput
	moved   time.Time // when AWSCURRENT was first seen on the version
	stage   string
	blind   bool // the log cannot be read
}

// healing are the kinds that Secrets Manager's own retry may heal. After
// another, following the rotation further shows nothing new.
var healing = []rotation.Kind{
	rotation.NotStored, rotation.OutcomeUnknown, rotation.NotYetWorking, rotation.StoreUnavailable,
	rotation.PantherUnavailable, rotation.Superseded, rotation.NoTime,
}

// look looks once. It reports whether the rotation ended.
func (f *following) look(ctx context.Context) (ended bool, err error) {
	d, err := f.describe(ctx)
	if err != nil {
		return false, err
	}
	f.readSteps(ctx)
	labels := d.VersionIdsToStages[f.id]
	elapsed := time.Since(f.started).Round(time.Second)
	switch {
	case slices.Contains(labels, rotation.LabelCurrent) && f.isSettling(d):
		return false, nil
	case slices.Contains(labels, rotation.LabelCurrent):
		f.say("%s The new token is AWSCURRENT, after %s.", f.good("Rotated."), elapsed)
		return true, nil
	case !slices.Contains(labels, rotation.LabelPending):
		return true, f.gone(ctx)
	case f.failed != nil && (!slices.Contains(healing, rotation.Kind(f.failed.Kind)) || time.Since(f.quiet) > f.pauses.quiet):
		return true, f.failure()
	}
	stage := f.stage
	if stage == "" {
		stage = "waiting for the function"
	}
	f.progress(stage+" …", elapsed.String())
	return false, nil
}

// skipSteps passes over the attempts before this one of a rotation that is not
// finished: their failures are not those of this one.
func (f *following) skipSteps(ctx context.Context) {
	if f.id != "" {
		f.done = len(f.steps(ctx))
	}
}

// steps returns how the steps ended, as the function's log has it.
func (f *following) steps(ctx context.Context) []line {
	lines, err := f.readLog(ctx, f.since, fmt.Sprintf(`{ $.version = %q }`, f.id))
	if err != nil && ctx.Err() == nil {
		f.blind = true
		f.say("The function's log cannot be read, so its errors are not shown: %s", sentence(err.Error()))
		return nil
	}
	return slices.DeleteFunc(lines, func(l line) bool {
		return l.Event != rotation.EventStepDone && l.Event != rotation.EventStepFailed
	})
}

// isSettling reports whether the label has moved, but Secrets Manager has not
// noted the end of the rotation yet. That takes a moment.
func (f *following) isSettling(d *sdk.DescribeSecretOutput) bool {
	const longest = 10 * time.Second
	if f.moved.IsZero() {
		f.moved = time.Now()
	}
	return aws.ToTime(d.LastRotatedDate).Equal(aws.ToTime(f.before.LastRotatedDate)) && time.Since(f.moved) < longest
}

// readSteps shows what is new in the function's log.
func (f *following) readSteps(ctx context.Context) {
	if f.blind {
		return
	}
	lines := f.steps(ctx)
	for _, l := range lines[min(f.done, len(lines)):] {
		f.quiet = time.Now()
		if l.Event == rotation.EventStepDone {
			f.stage, f.failed, f.passed = l.Step+" done", nil, true
			continue
		}
		f.failed = &l
		f.stage = l.Step + " failed; waiting for the next attempt"
		f.say("%s failed with %s: %s", l.Step, f.bad(l.Kind), l.Error)
	}
	f.done = max(f.done, len(lines))
}

// gone decides when the version carries neither AWSPENDING nor AWSCURRENT.
func (f *following) gone(ctx context.Context) error {
	if f.failed == nil && !f.passed && !f.blind { // the log may lag behind
		for deadline := time.Now().Add(10 * f.pauses.poll); f.failed == nil && !f.passed && time.Now().Before(deadline) && pause(ctx, f.pauses.poll); {
			f.readSteps(ctx)
		}
	}
	switch {
	case f.failed != nil:
		return f.failure()
	case f.test && f.passed:
		f.say("%s The test passed. Nothing was rotated.", f.good("Passed."))
		return nil
	case f.test:
		return errors.New("the test ended, and its result is not in the log that can be read")
	}
	return refuse("panther-token status "+f.name, "the rotation was abandoned: a value was put, or AWSPENDING was removed")
}

func (f *following) failure() error {
	if f.test {
		return refuse("Repair the cause, then: panther-token rotate "+f.name+" --test", "the test failed with %s. Nothing was rotated", f.failed.Kind)
	}
	return refuse("panther-token status "+f.name, "%s failed with %s", f.failed.Step, f.failed.Kind)
}

// Why AWSPENDING may be dropped.
const (
	dropCopy     = "it holds a copy of AWSCURRENT's token"
	dropReplaced = "Panther refuses its token and accepts those of AWSCURRENT"
)

// dropReason returns why AWSPENDING protects no token, or "".
func (p *picture) dropReason() string {
	if p.pending == nil || len(p.pending.tokens) == 0 || p.current == nil || len(p.current.tokens) == 0 {
		return ""
	}
	if p.pending.tokens[0] == p.current.tokens[0] {
		return dropCopy
	}
	for _, t := range p.current.tokens {
		if t.answer != works {
			return ""
		}
	}
	for _, t := range p.pending.tokens {
		if !p.current.holds(t) && t.answer != refused {
			return ""
		}
	}
	return dropReplaced
}

// dropPending removes AWSPENDING. The call names the version, so it fails if the
// label moved meanwhile.
func (s *target) dropPending(ctx context.Context) error {
	s.progress("Asking Panther about the tokens …", "")
	p, err := s.look(ctx)
	if err != nil {
		return err
	}
	if p.pending == nil {
		s.say("No rotation is unfinished. Nothing was changed.")
		return nil
	}
	reason := p.dropReason()
	if reason == "" {
		return refuse("panther-token rotate "+s.name, "AWSPENDING was not removed: it may protect a token. A rotation resumes it")
	}
	s.interrupted = "AWSPENDING may have been removed. Look at it with: panther-token status " + s.name
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestWrite)
	defer cancel()
	if err := s.store.DropPending(ctx, s.arn, p.pending.ID); err != nil {
		return err
	}
	s.interrupted = "AWSPENDING was removed."
	s.say("AWSPENDING was removed from version %s: %s. The value is still there.", p.pending.ID, reason)
	s.say("Next: panther-token rotate %s", s.name)
	return nil
}
