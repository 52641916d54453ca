package secretsmanager

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// fast has an hour pass in a second.
const fast = 3600

// scheduled opens an account in a bubble whose secret is to be rotated by rules,
// and not now.
func scheduled(t *testing.T, rules types.RotationRulesType) *account {
	t.Helper()
	a := openInBubble(t, Options{Speed: fast, RotationAttempts: 1})
	wantError(t, a.rotated(id(2), later, func(in *sdk.RotateSecretInput) { in.RotationRules = &rules }), "", "")
	a.forget()
	return a
}

func TestScheduledRotation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rules types.RotationRulesType
		every time.Duration
	}{
		"AutomaticallyAfterDays":     {types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(2)}, 48 * time.Hour},
		"rate(4 hours)":              {types.RotationRulesType{ScheduleExpression: aws.String("rate(4 hours)")}, 4 * time.Hour},
		"rate(1 day)":                {types.RotationRulesType{ScheduleExpression: aws.String("rate(1 day)")}, 24 * time.Hour},
		"rate(10 days) and Duration": {types.RotationRulesType{ScheduleExpression: aws.String("rate(10 days)"), Duration: aws.String("3h")}, 240 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := scheduled(t, c.rules)
				every := c.every / fast
				next := time.Until(*a.describe().NextRotationDate)
				if (next - every).Abs() > 100*time.Millisecond {
					t.Errorf("the next rotation is in %v", next)
				}
				time.Sleep(every - 100*time.Millisecond)
				a.wantStory("")
				time.Sleep(200 * time.Millisecond)
				a.wantStory("RotationStarted " + allSteps + " RotationSucceeded")
				first := a.describe()
				if since := first.LastRotatedDate.Sub(*first.CreatedDate); (since - every).Abs() > 200*time.Millisecond {
					t.Errorf("it was rotated after %v", since)
				}
				if next := first.NextRotationDate.Sub(*first.LastRotatedDate); (next - every).Abs() > 100*time.Millisecond {
					t.Errorf("the rotation after that is %v later", next)
				}
				time.Sleep(every)
				if second := a.describe(); !second.LastRotatedDate.After(*first.LastRotatedDate) {
					t.Error("it was rotated only once")
				}
			})
		})
	}
}

func TestClockIsNotFastByDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := openInBubble(t, Options{})
		time.Sleep(time.Minute)
		wantError(t, a.put(id(2), "two"), "", "")
		d := a.describe()
		if passed := d.LastChangedDate.Sub(*d.CreatedDate); passed != time.Minute {
			t.Errorf("%v passed, want a minute", passed)
		}
	})
}

func TestCancelledScheduleDoesNotRotate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := scheduled(t, types.RotationRulesType{ScheduleExpression: aws.String("rate(4 hours)")})
		if _, err := a.CancelRotateSecret(t.Context(), &sdk.CancelRotateSecretInput{SecretId: &a.arn}); err != nil {
			t.Fatal(err)
		}
		wantError(t, a.put(id(3), "by hand"), "", "")
		time.Sleep(time.Minute)
		a.wantStory("")
	})
}

func TestDeletedSecretIsNotRotatedOnSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := scheduled(t, types.RotationRulesType{ScheduleExpression: aws.String("rate(4 hours)")})
		if _, err := a.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: &a.arn}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		a.wantStory("")
	})
}

func TestValuePutByHandCountsAsARotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := scheduled(t, types.RotationRulesType{ScheduleExpression: aws.String("rate(10 hours)")})
		time.Sleep(8 * time.Second)
		wantError(t, a.put(id(3), "by hand"), "", "")
		time.Sleep(9 * time.Second)
		a.wantStory("")
		time.Sleep(2 * time.Second)
		a.wantStory("RotationStarted " + allSteps + " RotationSucceeded")
	})
}

func TestScheduleRunsAStuckRotationAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := scheduled(t, types.RotationRulesType{ScheduleExpression: aws.String("rate(4 hours)")})
		a.hooked(failing("setSecret", 1))
		time.Sleep(5 * time.Second)
		const failed = "RotationStarted createSecret setSecret StepFailed RotationFailed"
		a.wantStory(failed)
		time.Sleep(4 * time.Second)
		a.wantStory(failed + " RotationStarted " + allSteps + " RotationSucceeded")
		if a.invoked[0].ClientRequestToken != a.invoked[len(a.invoked)-1].ClientRequestToken {
			t.Error("it was run again for another version")
		}
	})
}

// TestDatesAreTrueAtAnySpeed: the function takes the age of a token from them.
func TestDatesAreTrueAtAnySpeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := openInBubble(t, Options{Speed: fast})
		time.Sleep(time.Hour)
		wantError(t, a.put(id(2), "two"), "", "")
		if d := a.describe(); !d.LastChangedDate.Equal(time.Now()) {
			t.Errorf("LastChangedDate is %v, want %v", d.LastChangedDate, time.Now())
		}
	})
}

// TestAFastScheduleNeverFillsTheSecret: the function refuses to rotate with 99
// versions of the last 24 hours.
func TestAFastScheduleNeverFillsTheSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := scheduled(t, types.RotationRulesType{ScheduleExpression: aws.String("rate(4 hours)")})
		time.Sleep(150 * 4 * time.Second)
		out, err := a.ListSecretVersionIds(t.Context(), &sdk.ListSecretVersionIdsInput{SecretId: &a.arn, IncludeDeprecated: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(out.Versions); n < purgeFrom || n > purgeFrom+5 {
			t.Errorf("there are %d versions", n)
		}
	})
}
