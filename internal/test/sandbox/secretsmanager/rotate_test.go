package secretsmanager

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// failing makes a hook that fails a step the first n times.
func failing(step string, n int) hook {
	return func(_ context.Context, e event) error {
		if e.Step != step || n == 0 {
			return nil
		}
		n--
		return errors.New("as the test had it")
	}
}

func later(in *sdk.RotateSecretInput) { in.RotateImmediately = aws.Bool(false) }

const allSteps = "createSecret setSecret testSecret finishSecret"

func TestRotation(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	atCreate := make(chan struct{})
	a.hooked(func(_ context.Context, e event) error {
		if e.Step != "createSecret" {
			return nil
		}
		<-atCreate
		a.wantLabels("1 AWSCURRENT, 2 AWSPENDING")
		_, err := a.get(*id(2), "")
		wantError(t, err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+*id(2))
		_, err = a.get("", "AWSPENDING")
		wantError(t, err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSPENDING")
		return nil
	})
	wantError(t, a.rotate(id(2)), "", "") // answers before the function is done
	close(atCreate)
	a.idle()

	a.wantStory("RotationStarted " + allSteps + " RotationSucceeded")
	a.wantLabels("1 AWSPREVIOUS, 2 AWSCURRENT")
	a.wantValue("", "", "value of "+*id(2))
	a.wantValue("", "AWSPREVIOUS", "one")
	d := a.describe()
	if !*d.RotationEnabled || *d.RotationLambdaARN != functionARN || d.LastRotatedDate.Before(*d.CreatedDate) || d.NextRotationDate != nil {
		t.Errorf("after the rotation it is described as %+v", d)
	}
	for _, e := range a.invoked {
		if e.SecretId != a.arn || e.ClientRequestToken != *id(2) || len(e.RotationToken) < 20 || e.RotationToken != a.invoked[0].RotationToken {
			t.Errorf("the event is %+v", e)
		}
	}

	a.hooked(nil)
	wantError(t, a.rotated(id(3), func(in *sdk.RotateSecretInput) { in.RotationLambdaARN = nil }), "", "")
	a.wantLabels("2 AWSPREVIOUS, 3 AWSCURRENT")
	if a.invoked[4].RotationToken == a.invoked[0].RotationToken {
		t.Error("the RotationToken is that of the rotation before")
	}
}

func TestRotateSecretIsRefused(t *testing.T) {
	t.Parallel()
	rules := func(r types.RotationRulesType) func(*sdk.RotateSecretInput) {
		return func(in *sdk.RotateSecretInput) { in.RotationRules = &r }
	}
	for name, c := range map[string]struct {
		change        func(*sdk.RotateSecretInput)
		code, message string
	}{
		"no function": {
			func(in *sdk.RotateSecretInput) { in.RotationLambdaARN = nil },
			"InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.",
		},
		"a function that is not there": {
			func(in *sdk.RotateSecretInput) { in.RotationLambdaARN = aws.String(functionARN + "2") },
			"AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.",
		},
		"an unknown secret":    {func(in *sdk.RotateSecretInput) { in.SecretId = aws.String("unknown") }, "ResourceNotFoundException", ""},
		"a short token":        {func(in *sdk.RotateSecretInput) { in.ClientRequestToken = aws.String("short") }, "InvalidParameterException", "ClientRequestToken must be 32-64 characters long."},
		"0 days":               {rules(types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(0)}), "ValidationException", ""},
		"1001 days":            {rules(types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(1001)}), "ValidationException", ""},
		"cron":                 {rules(types.RotationRulesType{ScheduleExpression: aws.String("cron(0 8 1 * ? *)")}), "InvalidParameterException", "The sandbox does not run cron() expressions."},
		"every 3 hours":        {rules(types.RotationRulesType{ScheduleExpression: aws.String("rate(3 hours)")}), "InvalidParameterException", "The ScheduleExpression is invalid."},
		"nonsense":             {rules(types.RotationRulesType{ScheduleExpression: aws.String("daily")}), "InvalidParameterException", "The ScheduleExpression is invalid."},
		"two schedules":        {rules(types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(1), ScheduleExpression: aws.String("rate(1 day)")}), "InvalidParameterException", ""},
		"a Duration of 3 days": {rules(types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(1), Duration: aws.String("3d")}), "ValidationException", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openAccount(t, Options{})
			wantError(t, a.rotated(id(2), c.change), c.code, c.message)
			a.wantStory("")
			a.wantLabels("1 AWSCURRENT")
			if a.describe().RotationEnabled != nil {
				t.Error("rotation was configured")
			}
		})
	}
}

func TestFailedStepIsRunAgainFromCreateSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := openInBubble(t, Options{RotationAttempts: 3, RetryPause: time.Minute})
		a.hooked(failing("testSecret", 2))
		started := time.Now()
		wantError(t, a.rotated(id(2)), "", "")
		const failed = "createSecret setSecret testSecret StepFailed "
		a.wantStory("RotationStarted " + failed + failed + allSteps + " RotationSucceeded")
		a.wantLabels("1 AWSPREVIOUS, 2 AWSCURRENT")
		if took := time.Since(started).Round(time.Second); took != 2*time.Minute {
			t.Errorf("it took %v, want two pauses of a minute", took)
		}
	})
}

// stuckAccount has a rotation to version 2 that failed in testSecret.
func stuckAccount(t *testing.T) *account {
	t.Helper()
	a := openAccount(t, Options{RotationAttempts: 1})
	a.hooked(failing("testSecret", 1))
	wantError(t, a.rotated(id(2)), "", "")
	a.wantStory("RotationStarted createSecret setSecret testSecret StepFailed RotationFailed")
	a.wantLabels("1 AWSCURRENT, 2 AWSPENDING")
	if a.describe().LastRotatedDate != nil {
		t.Error("a failed rotation counts as one")
	}
	a.forget()
	return a
}

const notComplete = "A previous rotation isn't complete. That rotation will be reattempted."

func TestStuckRotationIsReattempted(t *testing.T) {
	t.Parallel()
	a := stuckAccount(t)
	err := a.rotated(id(3), func(in *sdk.RotateSecretInput) {
		in.RotationRules = &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(1)}
	})
	wantError(t, err, "InvalidRequestException", notComplete)
	a.wantStory("RotationStarted " + allSteps + " RotationSucceeded")
	a.wantLabels("1 AWSPREVIOUS, 2 AWSCURRENT")
	if a.describe().RotationRules != nil {
		t.Error("the schedule of a stuck secret was changed")
	}
}

func TestStuckRotationIsReattemptedWithItsOwnToken(t *testing.T) {
	t.Parallel()
	a := stuckAccount(t)
	wantError(t, a.rotated(id(2)), "InvalidRequestException", notComplete)
	a.wantLabels("1 AWSPREVIOUS, 2 AWSCURRENT")
}

func TestRotateSecretAsSoonAsTheFailureIsHeardOf(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{RotationAttempts: 1})
	a.hooked(failing("testSecret", 1))
	a.mu.Lock()
	a.heard = func(e Event) {
		if e.Name == "RotationFailed" {
			wantError(t, a.rotate(id(3)), "InvalidRequestException", notComplete)
		}
	}
	a.mu.Unlock()
	wantError(t, a.rotated(id(2)), "", "")
	a.wantLabels("1 AWSPREVIOUS, 2 AWSCURRENT")
}

func TestValuePutByHandFreesAStuckSecret(t *testing.T) {
	t.Parallel()
	a := stuckAccount(t)
	wantError(t, a.put(id(3), "by hand"), "", "")
	a.wantStory("RotationAbandoned")
	a.wantLabels("1 AWSPREVIOUS, 3 AWSCURRENT")
	wantError(t, a.rotated(id(4)), "", "")
	a.wantLabels("3 AWSPREVIOUS, 4 AWSCURRENT")
}

func TestIgnoredWriteDoesNotAbandon(t *testing.T) {
	t.Parallel()
	a := stuckAccount(t)
	wantError(t, a.put(id(1), "one", "AWSCURRENT"), "", "")
	a.wantStory("")
	a.wantLabels("1 AWSCURRENT, 2 AWSPENDING")
}

func TestLabelTakenOffByHandFreesAStuckSecret(t *testing.T) {
	t.Parallel()
	a := stuckAccount(t)
	wantError(t, a.move("AWSPENDING", "", *id(2)), "", "")
	a.wantStory("RotationAbandoned")
	wantError(t, a.rotated(id(3)), "", "")
	a.wantLabels("1 AWSPREVIOUS, 3 AWSCURRENT")
}

func TestRotateSecretWhileOneRuns(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	goOn := make(chan struct{})
	a.hooked(func(context.Context, event) error { <-goOn; return nil })
	wantError(t, a.rotate(id(2)), "", "")
	wantError(t, a.rotate(id(3)), "InvalidRequestException", notComplete)
	wantError(t, a.rotate(id(2)), "", "") // a client that lost the answer asks again
	close(goOn)
	a.idle()
	a.wantStory("RotationStarted " + allSteps + " RotationSucceeded")
	wantError(t, a.rotated(id(2)), "", "")
	wantError(t, a.rotated(id(1), later), "", "")
	a.wantStory("RotationStarted " + allSteps + " RotationSucceeded")
	a.wantLabels("1 AWSPREVIOUS, 2 AWSCURRENT")
}

func TestValuePutByHandAbandonsARunningRotation(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	a.hooked(func(_ context.Context, e event) error {
		if e.Step == "setSecret" && e.ClientRequestToken == *id(2) {
			return a.put(id(3), "by hand")
		}
		return nil
	})
	wantError(t, a.rotated(id(2)), "", "")
	// setSecret fails for it, and nothing is tried again.
	a.wantStory("RotationStarted createSecret setSecret RotationAbandoned StepFailed")
	a.wantLabels("1 AWSPREVIOUS, 3 AWSCURRENT")
	wantError(t, a.rotated(id(4)), "", "")
	a.wantLabels("3 AWSPREVIOUS, 4 AWSCURRENT")
}

// TestAbandonedFunctionDoesNotHinderTheNextRotation has the function still work
// for the rotation that was abandoned while the next one runs.
func TestAbandonedFunctionDoesNotHinderTheNextRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := openInBubble(t, Options{})
		a.hooked(func(_ context.Context, e event) error {
			if e.Step == "createSecret" && e.ClientRequestToken == *id(2) {
				time.Sleep(time.Second)
			} else if e.Step == "createSecret" {
				time.Sleep(time.Minute)
			}
			return nil
		})
		wantError(t, a.rotate(id(2)), "", "")
		synctest.Wait()
		wantError(t, a.put(id(3), "by hand"), "", "")
		wantError(t, a.rotate(id(4)), "", "")
		time.Sleep(2 * time.Second)
		wantError(t, a.rotated(id(5)), "InvalidRequestException", notComplete)
		a.wantStory("RotationStarted createSecret RotationAbandoned RotationStarted createSecret StepFailed setSecret testSecret finishSecret RotationSucceeded")
		a.wantLabels("3 AWSPREVIOUS, 4 AWSCURRENT")
	})
}

// TestFunctionMayTakeAWSPENDINGOffItself does in finishSecret what some rotation
// functions do.
func TestFunctionMayTakeAWSPENDINGOffItself(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	a.hooked(func(_ context.Context, e event) error {
		if e.Step != "finishSecret" {
			return nil
		}
		return errors.Join(a.move("AWSCURRENT", *id(2), *id(1)), a.move("AWSPENDING", "", *id(2)), errDone)
	})
	wantError(t, a.rotated(id(2)), "", "")
	a.wantStory("RotationStarted " + allSteps + " RotationSucceeded")
	a.wantLabels("1 AWSPREVIOUS, 2 AWSCURRENT")
}

func TestFinishSecretThatDoesNotMoveAWSCURRENT(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{RotationAttempts: 1})
	a.hooked(func(context.Context, event) error { return errDone })
	wantError(t, a.rotated(id(2)), "", "")
	a.wantStory("RotationStarted " + allSteps + " RotationFailed")
	a.wantLabels("1 AWSCURRENT, 2 AWSPENDING")
	if last := a.events[len(a.events)-1]; !errors.Is(last.Err, errNotCurrent) {
		t.Errorf("it failed for %v", last.Err)
	}
}

func TestAWSPENDINGOnAWSCURRENTDoesNotHinder(t *testing.T) {
	t.Parallel()
	a := stuckAccount(t)
	wantError(t, a.move("AWSCURRENT", *id(2), *id(1)), "", "")
	a.wantLabels("1 AWSPREVIOUS, 2 AWSCURRENT AWSPENDING")
	wantError(t, a.rotated(id(3)), "", "")
	a.wantLabels("2 AWSPREVIOUS, 3 AWSCURRENT")
}

func TestRotateLaterRunsTestSecretOnly(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"passes": nil, "fails": errors.New("wrong URL")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openAccount(t, Options{})
			a.hooked(func(_ context.Context, e event) error {
				a.wantLabels("1 AWSCURRENT, 2 AWSPENDING")
				a.wantValue(*id(2), "AWSPENDING", "one")
				return failure
			})
			err := a.rotated(id(2), later, func(in *sdk.RotateSecretInput) {
				in.RotationRules = &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30), Duration: aws.String("2h")}
			})
			wantError(t, err, "", "")
			if failure == nil {
				a.wantStory("TestRotationStarted testSecret TestRotationSucceeded")
			} else {
				a.wantStory("TestRotationStarted testSecret StepFailed TestRotationFailed")
			}
			a.wantLabels("1 AWSCURRENT")
			_, err = a.get(*id(2), "")
			wantError(t, err, "ResourceNotFoundException", "")
			d := a.describe()
			if !*d.RotationEnabled || *d.RotationRules.AutomaticallyAfterDays != 30 || *d.RotationRules.Duration != "2h" || d.NextRotationDate == nil || d.LastRotatedDate != nil {
				t.Errorf("it is described as %+v", d)
			}
		})
	}
}

func TestCancelRotateSecret(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	cancel := func() (*sdk.CancelRotateSecretOutput, error) {
		return a.CancelRotateSecret(context.Background(), &sdk.CancelRotateSecretInput{SecretId: &a.arn})
	}
	_, err := cancel()
	wantError(t, err, "InvalidRequestException", "You can't cancel rotation")

	a.hooked(func(_ context.Context, e event) error {
		if e.Step != "setSecret" {
			return nil
		}
		out, err := cancel()
		if err == nil && *out.VersionId != *id(2) {
			t.Errorf("CancelRotateSecret answers version %s", *out.VersionId)
		}
		a.wantLabels("1 AWSCURRENT, 2 AWSPENDING")
		return err
	})
	err = a.rotated(id(2), func(in *sdk.RotateSecretInput) {
		in.RotationRules = &types.RotationRulesType{ScheduleExpression: aws.String("rate(10 days)")}
	})
	wantError(t, err, "", "")
	a.wantStory("RotationStarted createSecret setSecret StepFailed RotationFailed")
	a.wantLabels("1 AWSCURRENT, 2 AWSPENDING")
	d := a.describe()
	if *d.RotationEnabled || d.NextRotationDate != nil || *d.RotationLambdaARN != functionARN {
		t.Errorf("after the cancelling it is described as %+v", d)
	}

	// RotateSecret turns it on again, and what is stuck is run first.
	a.hooked(nil)
	wantError(t, a.rotated(id(3)), "InvalidRequestException", notComplete)
	a.wantLabels("1 AWSPREVIOUS, 2 AWSCURRENT")
	if !*a.describe().RotationEnabled {
		t.Error("rotation is off")
	}
}

func TestDeletedSecretIsNotRotatedFurther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := openInBubble(t, Options{RetryPause: time.Hour})
		a.hooked(func(context.Context, event) error {
			_, err := a.DeleteSecret(context.Background(), &sdk.DeleteSecretInput{SecretId: &a.arn})
			return err
		})
		started := time.Now()
		wantError(t, a.rotated(id(2)), "", "")
		a.wantStory("RotationStarted createSecret StepFailed RotationFailed")
		if last := a.events[len(a.events)-1]; !errors.Is(last.Err, stopDeleted) {
			t.Errorf("it failed for %v", last.Err)
		}
		if waited := time.Since(started); waited > time.Minute {
			t.Errorf("it was to be tried again, after %v", waited)
		}
	})
}

func TestCloseEndsARotation(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	at := make(chan struct{})
	a.hooked(func(ctx context.Context, _ event) error {
		close(at)
		<-ctx.Done()
		return ctx.Err()
	})
	wantError(t, a.rotate(id(2)), "", "")
	<-at
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.server.AwaitIdle(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("AwaitIdle returned %v while a rotation ran", err)
	}
	a.server.Close()
	a.idle()
	if story := a.story(); story != "RotationStarted createSecret StepFailed" {
		t.Errorf("what happened: %s", story)
	}
}
