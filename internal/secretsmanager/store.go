// Package secretsmanager keeps the versions of secrets in AWS Secrets Manager. It is
// the store for package rotation.
package secretsmanager

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// Store is AWS Secrets Manager. It is safe for concurrent use.
type Store struct {
	client *sdk.Client
}

var _ rotation.Store = (*Store)(nil)

// New makes a Store that uses client.
func New(client *sdk.Client) *Store { return &Store{client} }

// Describe calls DescribeSecret. See [rotation.Store].
func (s *Store) Describe(ctx context.Context, secretID string) (rotation.Description, error) {
	out, err := s.client.DescribeSecret(ctx, &sdk.DescribeSecretInput{SecretId: &secretID})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return rotation.Description{}, fmt.Errorf("%w: %w", rotation.ErrNoSecret, Classify("DescribeSecret", err))
	}
	if err != nil {
		return rotation.Description{}, Classify("DescribeSecret", err)
	}
	d := rotation.Description{
		ARN:             aws.ToString(out.ARN),
		RotationEnabled: aws.ToBool(out.RotationEnabled),
		FunctionARN:     aws.ToString(out.RotationLambdaARN),
		NextRotation:    aws.ToTime(out.NextRotationDate),
		Deleted:         aws.ToTime(out.DeletedDate),
		Labels:          out.VersionIdsToStages,
	}
	for _, r := range out.ReplicationStatus {
		d.Replicas = append(d.Replicas, rotation.Replica{Region: aws.ToString(r.Region), Status: string(r.Status)})
	}
	return d, nil
}

// Read calls GetSecretValue for a version id. See [rotation.Store].
func (s *Store) Read(ctx context.Context, secretARN, versionID string) (rotation.Version, error) {
	return s.get(ctx, &sdk.GetSecretValueInput{SecretId: &secretARN, VersionId: &versionID})
}

// ReadCurrent calls GetSecretValue for AWSCURRENT. See [rotation.Store].
func (s *Store) ReadCurrent(ctx context.Context, secretARN string) (rotation.Version, error) {
	return s.get(ctx, &sdk.GetSecretValueInput{SecretId: &secretARN, VersionStage: aws.String(rotation.LabelCurrent)})
}

func (s *Store) get(ctx context.Context, in *sdk.GetSecretValueInput) (rotation.Version, error) {
	out, err := s.client.GetSecretValue(ctx, in)
	if err != nil {
		if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
			return rotation.Version{}, fmt.Errorf("%w: %w", rotation.ErrNoValue, Classify("GetSecretValue", err))
		}
		return rotation.Version{}, Classify("GetSecretValue", err)
	}
	switch {
	case out.SecretString == nil && len(out.SecretBinary) == 0:
		// AWS answers ResourceNotFoundException; emulators answer so.
		return rotation.Version{}, rotation.ErrNoValue
	case out.SecretString == nil:
		return rotation.Version{}, secret.ErrBinary
	}
	return rotation.Version{
		VersionInfo: rotation.VersionInfo{
			ID:      aws.ToString(out.VersionId),
			Labels:  out.VersionStages,
			Created: aws.ToTime(out.CreatedDate),
		},
		Value: secret.NewText(*out.SecretString),
	}, nil
}

// Put calls PutSecretValue with the version id as ClientRequestToken. See
// [rotation.Store].
func (s *Store) Put(ctx context.Context, p rotation.Put) error {
	in := &sdk.PutSecretValueInput{
		SecretId:           &p.SecretARN,
		ClientRequestToken: &p.VersionID,
		VersionStages:      p.Labels,
		SecretString:       aws.String(p.Value.Reveal()),
	}
	if !p.RotationToken.IsEmpty() {
		in.RotationToken = aws.String(p.RotationToken.Reveal())
	}
	_, err := s.client.PutSecretValue(ctx, in)
	if _, ok := errors.AsType[*types.ResourceExistsException](err); ok {
		return fmt.Errorf("%w: %w", rotation.ErrVersionTaken, Classify("PutSecretValue", err))
	}
	return Classify("PutSecretValue", err)
}

// MoveCurrent calls UpdateSecretVersionStage for AWSCURRENT. See
// [rotation.Store].
func (s *Store) MoveCurrent(ctx context.Context, secretARN, from, to string) error {
	in := &sdk.UpdateSecretVersionStageInput{
		SecretId:        &secretARN,
		VersionStage:    aws.String(rotation.LabelCurrent),
		MoveToVersionId: &to,
	}
	if from != "" {
		in.RemoveFromVersionId = &from
	}
	_, err := s.client.UpdateSecretVersionStage(ctx, in)
	return Classify("UpdateSecretVersionStage", err)
}

// DropPending calls UpdateSecretVersionStage for AWSPENDING. See
// [rotation.Store].
func (s *Store) DropPending(ctx context.Context, secretARN, versionID string) error {
	_, err := s.client.UpdateSecretVersionStage(ctx, &sdk.UpdateSecretVersionStageInput{
		SecretId:            &secretARN,
		VersionStage:        aws.String(rotation.LabelPending),
		RemoveFromVersionId: &versionID,
	})
	return Classify("UpdateSecretVersionStage", err)
}

// versionsPerPage is the most that ListSecretVersionIds returns at once
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecretVersionIds.html).
const versionsPerPage = 100

// Versions calls ListSecretVersionIds, page by page. See [rotation.Store].
func (s *Store) Versions(ctx context.Context, secretARN string) ([]rotation.VersionInfo, error) {
	in := &sdk.ListSecretVersionIdsInput{SecretId: &secretARN, IncludeDeprecated: aws.Bool(true), MaxResults: aws.Int32(versionsPerPage)}
	var versions []rotation.VersionInfo
	for {
		out, err := s.client.ListSecretVersionIds(ctx, in)
		if err != nil {
			return nil, Classify("ListSecretVersionIds", err)
		}
		for _, v := range out.Versions {
			versions = append(versions, rotation.VersionInfo{
				ID:      aws.ToString(v.VersionId),
				Labels:  v.VersionStages,
				Created: aws.ToTime(v.CreatedDate),
			})
		}
		if aws.ToString(out.NextToken) == "" {
			return versions, nil
		}
		in.NextToken = out.NextToken
	}
}
