// Package drill rehearses emergencies: each drill brings the secret of a sandbox
// into the state that an alarm is about, and knows when it is healthy again.
package drill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"panther-token-rotation/internal/test/sandbox"
	"panther-token-rotation/internal/test/sandbox/panther"
)

// Drill is an emergency.
type Drill struct {
	Name string
	// Scene is what happened, and Task what the operator is asked to do.
	Scene, Task string

	two  bool   // the secret has two tokens
	keep bool   // the active token is to stay in AWSCURRENT
	kind string // of the failure that the function logs; empty if there is none
	set  func(ctx context.Context, s *Scene) error
}

// Scene is a drill under way.
type Scene struct {
	Drill
	box    *sandbox.Sandbox
	client *secretsmanager.Client
	leaked []string // tokens that must not work any more
	kept   string   // the id of the token that is to stay; empty if none is
}

const heal = "Bring the secret back: AWSCURRENT must hold tokens that work, and no rotation may be left unfinished."

// All returns the drills.
func All() []Drill {
	return []Drill{
		{Name: "not-stored", kind: "NotStored", set: notStored,
			Scene: "Secrets Manager failed every write for a while. The only living token is in the memory of the function's process. Writes work again.",
			Task:  heal},
		{Name: "not-stored-dead", kind: "NotStored", set: func(ctx context.Context, s *Scene) error {
			err := notStored(ctx, s)
			s.box.Function.Kill()
			return err
		},
			Scene: "Secrets Manager failed every write for a while, and then the function's process died. A sealed copy of the value is in the log.",
			Task:  heal + " The age key is in the file key.txt."},
		{Name: "token-lost", kind: "TokenLost", set: lostAnswer,
			Scene: "Panther rotated the only token, and its answer never arrived.", Task: heal},
		{Name: "standby-lost", kind: "StandbyLost", two: true, keep: true, set: lostAnswer,
			Scene: "Panther rotated the standby token, and its answer never arrived. Readers are not affected.",
			Task:  heal + " Keep the active token."},
		{Name: "not-yet-working", kind: "NotYetWorking", keep: true, set: func(ctx context.Context, s *Scene) error {
			return s.during(ctx, "slow-propagation", s.rotate)
		},
			Scene: "Panther took longer to activate the new token than the function waited. By now it works.",
			Task:  heal + " Do not make a new token."},
		{Name: "replaced-by-hand", kind: "ReplacedByHand", keep: true, set: func(ctx context.Context, s *Scene) error {
			return s.during(ctx, "slow-propagation", func(ctx context.Context) error { return s.inTheMiddle(ctx, s.replace) })
		},
			Scene: "During a rotation, a person deleted the token in Panther, made another one and moved AWSCURRENT to it.",
			Task:  heal + " Keep that person's token until the next rotation."},
		{Name: "stuck-awspending", set: func(ctx context.Context, s *Scene) error {
			return s.during(ctx, "slow-propagation", func(ctx context.Context) error { return s.inTheMiddle(ctx, s.cancel) })
		},
			Scene: "A person cancelled the rotation in its middle. AWSPENDING stayed, and readers are shut out.", Task: heal},
		{Name: "leaked-token", two: true, set: func(ctx context.Context, s *Scene) (err error) {
			s.leaked, _, err = s.box.Tokens(ctx, "AWSCURRENT")
			return err
		},
			Scene: "The value of the secret, with both tokens, was posted in a chat.",
			Task:  "End what leaked: neither of its tokens may work, and AWSCURRENT must hold two others that do."},
	}
}

// Named returns the drill with this name.
func Named(name string) (Drill, error) {
	all := All()
	i := slices.IndexFunc(all, func(d Drill) bool { return d.Name == name })
	if i < 0 {
		return Drill{}, fmt.Errorf("there is no drill %q; run make drill for a list", name)
	}
	return all[i], nil
}

// Prepare makes settings of a sandbox for a drill, and writes the age key that
// opens sealed values to key.txt in dir. propagation is the time that the
// function waits for a new token.
func Prepare(o *sandbox.Options, dir string, propagation time.Duration) error {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	if o.Env == nil {
		o.Env = map[string]string{}
	}
	o.Env["RECOVERY_RECIPIENT"] = identity.Recipient().String()
	o.Env["PROPAGATION_TIMEOUT"] = propagation.String()
	o.Timeout = 40 * time.Second // NotStored comes shortly before it
	o.SecretsManager.RotationAttempts = 1
	return os.WriteFile(filepath.Join(dir, "key.txt"), []byte(identity.String()+"\n"), 0o600)
}

// Setup makes the secret, plays what happened, and returns when the operator can
// begin.
func (d Drill) Setup(ctx context.Context, box *sandbox.Sandbox) (*Scene, error) {
	s := &Scene{Drill: d, box: box, client: box.Client()}
	err := s.create(ctx)
	if err == nil {
		err = d.set(ctx, s)
	}
	if err == nil {
		err = box.SecretsManager.AwaitIdle(ctx)
	}
	if err == nil && d.keep {
		var tokens []string
		if tokens, _, err = box.Tokens(ctx, "AWSCURRENT"); err == nil {
			s.kept = box.Panther.ID(tokens[0])
		}
	}
	logged := strings.Join(box.Logs.Lines(), "\n")
	if err == nil && d.kind != "" && !strings.Contains(logged, `"kind":"`+d.kind+`"`) {
		err = fmt.Errorf("the function did not log %s", d.kind)
	}
	if err != nil {
		return nil, fmt.Errorf("drill %s: %w", d.Name, err)
	}
	return s, nil
}

// Problems returns what is wrong with the secret now: nothing when the drill is
// solved.
func (s *Scene) Problems(ctx context.Context) (problems []string, err error) {
	d, err := s.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String(sandbox.SecretName)})
	if err != nil {
		return nil, err
	}
	for version, labels := range d.VersionIdsToStages {
		if slices.Contains(labels, "AWSPENDING") && !slices.Contains(labels, "AWSCURRENT") {
			problems = append(problems, "AWSPENDING is on the version "+version+", which is not AWSCURRENT")
		}
	}
	if !aws.ToBool(d.RotationEnabled) {
		problems = append(problems, "rotation is off")
	}
	tokens, _, err := s.box.Tokens(ctx, "AWSCURRENT")
	if err != nil {
		return nil, err
	}
	if s.two && len(tokens) < 2 {
		problems = append(problems, "the standby token is missing")
	}
	for i, token := range tokens {
		if status := s.box.Panther.Status(token); status != panther.Living {
			problems = append(problems, fmt.Sprintf("the %s token is %s", []string{"active", "standby"}[i], status))
		}
	}
	isKept := func(token string) bool { return s.box.Panther.ID(token) == s.kept }
	if s.kept != "" && !slices.ContainsFunc(tokens, isKept) {
		problems = append(problems, "AWSCURRENT does not hold "+s.kept+", the token to keep")
	}
	for _, token := range s.leaked {
		if s.box.Panther.Status(token) == panther.Living {
			problems = append(problems, "the leaked token "+s.box.Panther.ID(token)+" still works")
		}
	}
	return problems, nil
}

// create makes the secret with a rotation that has not run yet.
func (s *Scene) create(ctx context.Context) error {
	value := fmt.Sprintf(`{"PANTHER_API_TOKEN": %q`, s.box.Panther.NewToken("first"))
	if s.two {
		value += fmt.Sprintf(`, "PANTHER_API_TOKEN_STANDBY": %q`, s.box.Panther.NewToken("second"))
	}
	value += "}"
	_, err := s.client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String(sandbox.SecretName), SecretString: &value})
	if err != nil {
		return err
	}
	_, err = s.client.RotateSecret(ctx, &secretsmanager.RotateSecretInput{
		SecretId: aws.String(sandbox.SecretName), RotationLambdaARN: aws.String(s.box.Function.ARN()), RotateImmediately: aws.Bool(false),
		RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)},
	})
	if err != nil {
		return err
	}
	return s.box.SecretsManager.AwaitIdle(ctx)
}

// rotate starts a rotation and waits for its end.
func (s *Scene) rotate(ctx context.Context) error {
	_, err := s.client.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: aws.String(sandbox.SecretName)})
	if err != nil {
		return err
	}
	return s.box.SecretsManager.AwaitIdle(ctx)
}

// during does something while a fault is on.
func (s *Scene) during(ctx context.Context, fault string, do func(context.Context) error) error {
	if _, err := s.box.On(ctx, fault); err != nil {
		return err
	}
	if err := do(ctx); err != nil {
		return err
	}
	_, err := s.box.Off(ctx, fault)
	return err
}

func notStored(ctx context.Context, s *Scene) error { return s.during(ctx, "write-fails", s.rotate) }

func lostAnswer(ctx context.Context, s *Scene) error { return s.during(ctx, "answer-lost", s.rotate) }

// inTheMiddle starts a rotation, does something to its version as soon as that
// has a value, and waits for the end.
func (s *Scene) inTheMiddle(ctx context.Context, do func(ctx context.Context, version string) error) error {
	out, err := s.client.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: aws.String(sandbox.SecretName)})
	if err != nil {
		return err
	}
	version := aws.ToString(out.VersionId)
	for giveUp := time.Now().Add(time.Minute); ; {
		if _, _, err = s.box.Tokens(ctx, version); err == nil {
			break
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("createSecret stores nothing: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := do(ctx, version); err != nil {
		return err
	}
	return s.box.SecretsManager.AwaitIdle(ctx)
}

func (s *Scene) cancel(ctx context.Context, _ string) error {
	_, err := s.client.CancelRotateSecret(ctx, &secretsmanager.CancelRotateSecretInput{SecretId: aws.String(sandbox.SecretName)})
	return err
}

// replace deletes the token that is being rotated and puts another one, by a
// label of its own, which leaves AWSPENDING where it is.
func (s *Scene) replace(ctx context.Context, version string) error {
	d, err := s.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String(sandbox.SecretName)})
	if err != nil {
		return err
	}
	var current string
	for id, labels := range d.VersionIdsToStages {
		if slices.Contains(labels, "AWSCURRENT") {
			current = id
		}
	}
	if _, err := s.box.DeleteToken(ctx, "active"); err != nil {
		return err
	}
	value := fmt.Sprintf(`{"PANTHER_API_TOKEN": %q}`, s.box.Panther.NewToken("by hand"))
	put, err := s.client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(sandbox.SecretName), SecretString: &value, VersionStages: []string{"BY_HAND"},
	})
	if err != nil {
		return err
	}
	_, err = s.client.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: aws.String(sandbox.SecretName), VersionStage: aws.String("AWSCURRENT"),
		MoveToVersionId: put.VersionId, RemoveFromVersionId: &current,
	})
	return err
}
