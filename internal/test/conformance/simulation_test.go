package conformance

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"panther-token-rotation/internal/rotation"
	confidential "panther-token-rotation/internal/secret"
	"panther-token-rotation/internal/test/simulation"
)

// TestSimulationConforms asks the simulation's model of Secrets Manager, as far
// as rotation's Store goes. A case that takes another request is left out.
func TestSimulationConforms(t *testing.T) {
	asked := 0
	for _, c := range versionCases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &storeClient{Store: simulation.NewStore("arn")}
				got := endpoint{client: store}.run(t, c)
				switch {
				case c.onWire:
					t.Skip("a Store does not show HTTP")
				case store.beyond != "":
					t.Skipf("a Store has no request for it: %s", store.beyond)
				case got != "":
					t.Error(got)
				}
				asked++
			})
		})
	}
	if asked < 20 {
		t.Errorf("only %d of %d cases were asked", asked, len(versionCases))
	}
}

// storeClient is a Store that is asked as Secrets Manager's client is.
type storeClient struct {
	rotation.Store
	service // nil: what a Store does not have
	// beyond is the first request that a Store has no call for.
	beyond string
}

var errBeyond = errors.New("a Store has no such request")

func (s *storeClient) leave(request string) error {
	if s.beyond == "" {
		s.beyond = request
	}
	return errBeyond
}

// answer gives a Store's errors the codes of the API. A Store keeps no messages.
func answer(err error) error {
	code, _, hasCode := strings.Cut(errorText(err), ":")
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rotation.ErrNoValue):
		code = "ResourceNotFoundException"
	case errors.Is(err, rotation.ErrVersionTaken):
		code = "ResourceExistsException"
	case !hasCode:
		return err
	}
	return &smithy.GenericAPIError{Code: code, Message: anyMessage}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (s *storeClient) CreateSecret(ctx context.Context, in *sdk.CreateSecretInput, _ ...func(*sdk.Options)) (*sdk.CreateSecretOutput, error) {
	if in.SecretString == nil {
		return &sdk.CreateSecretOutput{}, nil
	}
	return &sdk.CreateSecretOutput{}, s.put(ctx, *in.ClientRequestToken, *in.SecretString, nil)
}

func (s *storeClient) DeleteSecret(context.Context, *sdk.DeleteSecretInput, ...func(*sdk.Options)) (*sdk.DeleteSecretOutput, error) {
	return &sdk.DeleteSecretOutput{}, nil
}

func (s *storeClient) put(ctx context.Context, id, value string, labels []string) error {
	if labels == nil {
		labels = []string{rotation.LabelCurrent}
	}
	return answer(s.Put(ctx, rotation.Put{SecretARN: "arn", VersionID: id, Labels: labels, Value: confidential.NewText(value)}))
}

func (s *storeClient) PutSecretValue(ctx context.Context, in *sdk.PutSecretValueInput, _ ...func(*sdk.Options)) (*sdk.PutSecretValueOutput, error) {
	return &sdk.PutSecretValueOutput{VersionId: in.ClientRequestToken}, s.put(ctx, *in.ClientRequestToken, *in.SecretString, in.VersionStages)
}

func (s *storeClient) GetSecretValue(ctx context.Context, in *sdk.GetSecretValueInput, _ ...func(*sdk.Options)) (*sdk.GetSecretValueOutput, error) {
	var v rotation.Version
	var err error
	switch label := aws.ToString(in.VersionStage); {
	case in.VersionId != nil && label == "":
		v, err = s.Read(ctx, "arn", *in.VersionId)
	case in.VersionId == nil && (label == "" || label == rotation.LabelCurrent):
		v, err = s.ReadCurrent(ctx, "arn")
	case in.VersionId == nil:
		v, err = s.readLabelled(ctx, label)
	default:
		return nil, s.leave("GetSecretValue of a version and a label")
	}
	return &sdk.GetSecretValueOutput{SecretString: aws.String(v.Value.Reveal()), CreatedDate: &v.Created}, answer(err)
}

// readLabelled is what a Store's user does for want of a request.
func (s *storeClient) readLabelled(ctx context.Context, label string) (rotation.Version, error) {
	d, err := s.Describe(ctx, "arn")
	for id, labels := range d.Labels {
		if slices.Contains(labels, label) {
			return s.Read(ctx, "arn", id)
		}
	}
	return rotation.Version{}, cmp.Or(err, rotation.ErrNoValue)
}

func (s *storeClient) UpdateSecretVersionStage(ctx context.Context, in *sdk.UpdateSecretVersionStageInput, _ ...func(*sdk.Options)) (*sdk.UpdateSecretVersionStageOutput, error) {
	out := &sdk.UpdateSecretVersionStageOutput{}
	switch {
	case *in.VersionStage == rotation.LabelCurrent && in.MoveToVersionId != nil:
		return out, answer(s.MoveCurrent(ctx, "arn", aws.ToString(in.RemoveFromVersionId), *in.MoveToVersionId))
	case *in.VersionStage == rotation.LabelPending && in.MoveToVersionId == nil:
		return out, answer(s.DropPending(ctx, "arn", *in.RemoveFromVersionId))
	}
	return nil, s.leave("UpdateSecretVersionStage of another label")
}

func (s *storeClient) DescribeSecret(ctx context.Context, _ *sdk.DescribeSecretInput, _ ...func(*sdk.Options)) (*sdk.DescribeSecretOutput, error) {
	d, err := s.Describe(ctx, "arn")
	return &sdk.DescribeSecretOutput{VersionIdsToStages: d.Labels}, answer(err)
}

func (s *storeClient) ListSecretVersionIds(ctx context.Context, in *sdk.ListSecretVersionIdsInput, _ ...func(*sdk.Options)) (*sdk.ListSecretVersionIdsOutput, error) {
	if !aws.ToBool(in.IncludeDeprecated) {
		return nil, s.leave("ListSecretVersionIds without IncludeDeprecated")
	}
	versions, err := s.Versions(ctx, "arn")
	out := &sdk.ListSecretVersionIdsOutput{}
	for _, v := range versions {
		out.Versions = append(out.Versions, types.SecretVersionsListEntry{VersionId: &v.ID, VersionStages: v.Labels, CreatedDate: &v.Created})
	}
	return out, answer(err)
}
