package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// anyMessage is what an endpoint answers that keeps no messages.
const anyMessage = "(any message)"

// refused wants the request to be an error with this code and a message that begins
// so. "" stands for any message: then none is documented or recorded.
func refused(request step, code, message string) step {
	return step{request.operation, func(ctx context.Context, s *secret) error {
		outcome := request.outcome(request.do(ctx, s))
		answered := request.operation + " answers " + code + ": "
		if !strings.HasPrefix(string(outcome), answered+message) && string(outcome) != answered+anyMessage {
			return outcome
		}
		return nil
	}}
}

// clientErrorStatus wants the request to be an error with HTTP status 400, which AWS
// gives to every error that is the client's
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html).
func clientErrorStatus(request step) step {
	return step{request.operation, func(ctx context.Context, s *secret) error {
		err := request.do(ctx, s)
		response, ok := errors.AsType[*awshttp.ResponseError](err)
		if !ok {
			return request.outcome(err)
		}
		if status := response.HTTPStatusCode(); status != 400 {
			return difference(fmt.Sprintf("%s answers with HTTP status %d", request.operation, status))
		}
		return nil
	}}
}

func put(version int, value string, labels ...string) step {
	return step{"PutSecretValue", func(ctx context.Context, s *secret) error {
		out, err := s.client.PutSecretValue(ctx, &sdk.PutSecretValueInput{
			SecretId: &s.id, ClientRequestToken: aws.String(versionID(version)), SecretString: &value, VersionStages: labels,
		})
		if err == nil && aws.ToString(out.VersionId) != versionID(version) {
			return difference("PutSecretValue does not make the version that ClientRequestToken names")
		}
		return err
	}}
}

// get reads by version id, label, both or neither: 0 and "" stand for what is not
// given.
func get(version int, label string) step {
	return step{"GetSecretValue", func(ctx context.Context, s *secret) error {
		_, err := s.value(ctx, version, label)
		return err
	}}
}

// reads is get, and wants this value.
func reads(version int, label, want string) step {
	return step{"GetSecretValue", func(ctx context.Context, s *secret) error {
		return s.within(ctx, s.settle, func() error {
			got, err := s.value(ctx, version, label)
			if err == nil && got != want {
				return difference(fmt.Sprintf("GetSecretValue reads %q", got))
			}
			return err
		})
	}}
}

// failed waits until the rotation to a version has failed, after createSecret.
func failed(version int) step {
	return step{"GetSecretValue", func(ctx context.Context, s *secret) error {
		err := s.within(ctx, s.patience, func() error { return get(version, "").do(ctx, s) })
		if err != nil {
			return err
		}
		return s.idle(ctx)
	}}
}

func (s *secret) value(ctx context.Context, version int, label string) (string, error) {
	out, err := s.client.GetSecretValue(ctx, &sdk.GetSecretValueInput{
		SecretId: &s.id, VersionId: optionalID(version), VersionStage: optional(label),
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.SecretString), nil
}

// move is UpdateSecretVersionStage; 0 stands for a version that is not given.
func move(label string, to, from int) step {
	return step{"UpdateSecretVersionStage", func(ctx context.Context, s *secret) error {
		_, err := s.client.UpdateSecretVersionStage(ctx, &sdk.UpdateSecretVersionStageInput{
			SecretId: &s.id, VersionStage: &label, MoveToVersionId: optionalID(to), RemoveFromVersionId: optionalID(from),
		})
		return err
	}}
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func optionalID(version int) *string {
	if version == 0 {
		return nil
	}
	return aws.String(versionID(version))
}

// rotate calls RotateSecret, with the conformance function unless a change says
// otherwise.
func rotate(version int, changes ...func(*sdk.RotateSecretInput)) step {
	return step{"RotateSecret", func(ctx context.Context, s *secret) error {
		in := &sdk.RotateSecretInput{SecretId: &s.id, ClientRequestToken: aws.String(versionID(version)), RotationLambdaARN: &s.function}
		for _, change := range changes {
			change(in)
		}
		out, err := s.client.RotateSecret(ctx, in)
		if err == nil && aws.ToString(out.VersionId) != versionID(version) {
			return difference(zeros.ReplaceAllString("RotateSecret answers version "+aws.ToString(out.VersionId), "$1"))
		}
		return err
	}}
}

func withoutFunction(in *sdk.RotateSecretInput) { in.RotationLambdaARN = nil }

func withFunctionThatIsNotThere(in *sdk.RotateSecretInput) {
	in.RotationLambdaARN = aws.String(*in.RotationLambdaARN + "-that-is-not-there")
}

func notImmediately(in *sdk.RotateSecretInput) { in.RotateImmediately = aws.Bool(false) }

func everyMonth(in *sdk.RotateSecretInput) {
	in.RotationRules = &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)}
}

// cancel calls CancelRotateSecret, and wants it to name a version unless it is 0.
func cancel(version int) step {
	return step{"CancelRotateSecret", func(ctx context.Context, s *secret) error {
		out, err := s.client.CancelRotateSecret(ctx, &sdk.CancelRotateSecretInput{SecretId: &s.id})
		if err == nil && version != 0 && aws.ToString(out.VersionId) != versionID(version) {
			return difference(zeros.ReplaceAllString("CancelRotateSecret answers version "+aws.ToString(out.VersionId), "$1"))
		}
		return err
	}}
}

// failIn has the function fail in a step until goOn. A version of its own carries
// the label, so that it stays when others lose theirs.
func failIn(name string) step { return put(9, "told to fail", failLabel+name) }

func goOn(name string) step { return move(failLabel+name, 0, 9) }

// labels wants DescribeSecret to show these labels, such as "1 AWSPREVIOUS, 2
// AWSCURRENT". Versions without any do not count, nor the one of failIn.
func labels(want string) step {
	return described(func(s *secret) time.Duration { return s.settle }, want)
}

// await is labels, as soon as the rotation function has come so far.
func await(want string) step {
	return described(func(s *secret) time.Duration { return s.patience }, want)
}

func described(limit func(*secret) time.Duration, want string) step {
	return step{"DescribeSecret", func(ctx context.Context, s *secret) error {
		return s.within(ctx, limit(s), func() error {
			d, err := s.client.DescribeSecret(ctx, &sdk.DescribeSecretInput{SecretId: &s.id})
			if err != nil {
				return err
			}
			var all []string
			for _, id := range slices.Sorted(maps.Keys(d.VersionIdsToStages)) {
				if on := slices.Sorted(slices.Values(d.VersionIdsToStages[id])); len(on) > 0 && id != versionID(9) {
					all = append(all, zeros.ReplaceAllString(id, "$1")+" "+strings.Join(on, " "))
				}
			}
			if got := strings.Join(all, ", "); got != want {
				return difference("the labels are " + got)
			}
			return nil
		})
	}}
}

// shows wants DescribeSecret to show something, as soon as the rotation function has
// come so far. what says it in words.
func shows(what string, isSo func(d *sdk.DescribeSecretOutput) bool) step {
	return step{"DescribeSecret", func(ctx context.Context, s *secret) error {
		return s.within(ctx, s.patience, func() error {
			d, err := s.client.DescribeSecret(ctx, &sdk.DescribeSecretInput{SecretId: &s.id})
			if err == nil && !isSo(d) {
				return difference("DescribeSecret does not show " + what)
			}
			return err
		})
	}}
}

// lists wants ListSecretVersionIds to list these, versions without labels included.
func lists(want string, options ...func(*sdk.ListSecretVersionIdsInput)) step {
	return step{"ListSecretVersionIds", func(ctx context.Context, s *secret) error {
		in := &sdk.ListSecretVersionIdsInput{SecretId: &s.id}
		for _, option := range options {
			option(in)
		}
		return s.within(ctx, s.settle, func() error {
			out, err := s.client.ListSecretVersionIds(ctx, in)
			if err != nil {
				return err
			}
			var all []string
			for _, v := range out.Versions {
				on := slices.Sorted(slices.Values(v.VersionStages))
				all = append(all, strings.Join(append([]string{zeros.ReplaceAllString(aws.ToString(v.VersionId), "$1")}, on...), " "))
			}
			slices.Sort(all)
			if got := strings.Join(all, ", "); got != want {
				return difference("ListSecretVersionIds lists " + got)
			}
			return nil
		})
	}}
}

func includeDeprecated(in *sdk.ListSecretVersionIdsInput) { in.IncludeDeprecated = aws.Bool(true) }

// listsTheLastPage wants ListSecretVersionIds to answer without a NextToken.
var listsTheLastPage = step{"ListSecretVersionIds", func(ctx context.Context, s *secret) error {
	out, err := s.client.ListSecretVersionIds(ctx, &sdk.ListSecretVersionIdsInput{SecretId: &s.id})
	if err == nil && out.NextToken != nil {
		return difference(fmt.Sprintf("ListSecretVersionIds answers NextToken %q", *out.NextToken))
	}
	return err
}}

// listsByCreation wants ListSecretVersionIds to date version 1 as GetSecretValue
// does, also after a while.
var listsByCreation = step{"ListSecretVersionIds", func(ctx context.Context, s *secret) error {
	time.Sleep(s.tick)
	value, err := s.client.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: &s.id})
	if err != nil {
		return err
	}
	out, err := s.client.ListSecretVersionIds(ctx, &sdk.ListSecretVersionIdsInput{SecretId: &s.id})
	if err == nil && !aws.ToTime(out.Versions[0].CreatedDate).Equal(*value.CreatedDate) {
		return difference("ListSecretVersionIds dates a version again")
	}
	return err
}}
