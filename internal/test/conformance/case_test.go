package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
)

// testCase is something that Secrets Manager does. Its secret has, to begin with,
// version 1 with the value "one" as AWSCURRENT. Version ids are written as numbers.
type testCase struct {
	name  string
	empty bool // the secret has no version to begin with
	steps []step

	// onWire: it is about HTTP.
	onWire bool

	// motoDiffers says what moto does instead of what AWS does: the beginning of
	// the first difference, as the case reports it. If there is none any more, or
	// another, the test fails. The sandbox may not differ.
	motoDiffers string

	// notKnownOfAWS marks a question that AWS's documentation leaves open, and of
	// which no answer of AWS was found recorded. The steps want what the function
	// relies on. The sandbox does that too, which shows that the steps are right
	// and nothing about AWS; moto is not asked.
	notKnownOfAWS bool
}

// service is the part of Secrets Manager's client that cases use.
type service interface {
	CreateSecret(context.Context, *sdk.CreateSecretInput, ...func(*sdk.Options)) (*sdk.CreateSecretOutput, error)
	DeleteSecret(context.Context, *sdk.DeleteSecretInput, ...func(*sdk.Options)) (*sdk.DeleteSecretOutput, error)
	DescribeSecret(context.Context, *sdk.DescribeSecretInput, ...func(*sdk.Options)) (*sdk.DescribeSecretOutput, error)
	GetSecretValue(context.Context, *sdk.GetSecretValueInput, ...func(*sdk.Options)) (*sdk.GetSecretValueOutput, error)
	ListSecretVersionIds(context.Context, *sdk.ListSecretVersionIdsInput, ...func(*sdk.Options)) (*sdk.ListSecretVersionIdsOutput, error)
	PutSecretValue(context.Context, *sdk.PutSecretValueInput, ...func(*sdk.Options)) (*sdk.PutSecretValueOutput, error)
	UpdateSecretVersionStage(context.Context, *sdk.UpdateSecretVersionStageInput, ...func(*sdk.Options)) (*sdk.UpdateSecretVersionStageOutput, error)
	RotateSecret(context.Context, *sdk.RotateSecretInput, ...func(*sdk.Options)) (*sdk.RotateSecretOutput, error)
	CancelRotateSecret(context.Context, *sdk.CancelRotateSecretInput, ...func(*sdk.Options)) (*sdk.CancelRotateSecretOutput, error)
}

// endpoint is a Secrets Manager to ask.
type endpoint struct {
	client   service
	function string // ARN of a function that does Rotate

	settle   time.Duration // how long a read may lag behind a write
	patience time.Duration // how long a rotation may take to come to its end
	pause    time.Duration // between two looks
	tick     time.Duration // what two dates can distinguish

	// idle returns when no step of a rotation runs. No request shows it.
	idle func(ctx context.Context) error
}

// secret is the one that a case is about.
type secret struct {
	endpoint
	id string // its name
}

// step is a request that has to succeed, or something to check.
type step struct {
	operation string
	do        func(ctx context.Context, s *secret) error
}

// difference is what a service does instead of what AWS does.
type difference string

func (d difference) Error() string { return string(d) }

func nowhere(testCase) string { return "" }

// conforms asks all of it. differs picks what is known of this service.
func conforms(t *testing.T, e endpoint, cases []testCase, differs func(testCase) string) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			known := differs(c)
			switch got := e.run(t, c); {
			case got == "" && known != "":
				t.Errorf("it does not differ from AWS any more: take it out of the case that %s", known)
			case got != "" && known == "":
				t.Error(got)
			case !strings.HasPrefix(got, known):
				t.Errorf("%s\nit is known to differ, but in another way: %s", got, known)
			}
		})
	}
}

// run returns the first difference; "" if there is none.
func (e endpoint) run(t *testing.T, c testCase) string {
	s := &secret{endpoint: e, id: "panther-token-rotation-conformance-" + rand.Text()[:12]}
	in := &sdk.CreateSecretInput{Name: &s.id}
	if !c.empty {
		in.ClientRequestToken, in.SecretString = aws.String(versionID(1)), aws.String("one")
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_, err := s.client.DeleteSecret(ctx, &sdk.DeleteSecretInput{SecretId: &s.id, ForceDeleteWithoutRecovery: aws.Bool(true)})
		if err != nil {
			t.Errorf("delete the secret %s by hand: %v", s.id, err)
		}
	})
	if _, err := s.client.CreateSecret(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	return s.firstDifference(t.Context(), c.steps...)
}

func (s *secret) firstDifference(ctx context.Context, steps ...step) string {
	for _, step := range steps {
		if err := step.do(ctx, s); err != nil {
			return step.outcome(err).Error()
		}
	}
	return ""
}

var zeros = regexp.MustCompile(`0{20,}(\d)`)

// outcome says what a request came to. Version ids lose their zeros.
func (s step) outcome(err error) difference {
	d, isDifference := errors.AsType[difference](err)
	failure, isAnswer := errors.AsType[smithy.APIError](err)
	switch {
	case isDifference:
		return d
	case err == nil:
		return difference(s.operation + " succeeds")
	case isAnswer:
		return difference(zeros.ReplaceAllString(fmt.Sprintf("%s answers %s: %s", s.operation, failure.ErrorCode(), failure.ErrorMessage()), "$1"))
	}
	return difference(fmt.Sprintf("%s fails: %v", s.operation, err))
}

// within looks until there is no difference, or the time is over.
func (s *secret) within(ctx context.Context, limit time.Duration, look func() error) error {
	for deadline := time.Now().Add(limit); ; {
		err := look()
		if err == nil || !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-time.After(s.pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
