package drill

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox"
)

// binary is the function, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "drill-")
	if err != nil {
		panic(err)
	}
	if binary, err = sandbox.Build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// play sets a drill up in a sandbox of its own.
func play(t *testing.T, d Drill, dir string) *Scene {
	t.Helper()
	o := sandbox.Options{Binary: binary}
	if err := Prepare(&o, dir, time.Second); err != nil {
		t.Fatal(err)
	}
	box, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := d.Setup(t.Context(), box)
	if err != nil {
		t.Fatal(err)
	}
	if problems := s.problems(t); len(problems) == 0 {
		t.Error("the secret is healthy before anybody acts")
	}
	return s
}

func (s *Scene) problems(t *testing.T) []string {
	t.Helper()
	problems, err := s.Problems(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return problems
}

// TestDrillsBeginUnhealthy sets up each drill that does not wait for the
// function's timeout; make verify solves all of them.
func TestDrillsBeginUnhealthy(t *testing.T) {
	for _, d := range All() {
		if d.kind == "NotStored" {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			play(t, d, t.TempDir())
		})
	}
}

// TestTheTokenToKeepHasToStay puts two new tokens where only the standby was
// lost, and then the active one again.
func TestTheTokenToKeepHasToStay(t *testing.T) {
	t.Parallel()
	d, err := Named("standby-lost")
	if err != nil {
		t.Fatal(err)
	}
	s := play(t, d, t.TempDir())
	before, _, err := s.box.Tokens(t.Context(), "AWSCURRENT")
	if err != nil {
		t.Fatal(err)
	}
	put := func(active string) {
		t.Helper()
		value := fmt.Sprintf(`{"PANTHER_API_TOKEN": %q, "PANTHER_API_TOKEN_STANDBY": %q}`, active, s.box.Panther.NewToken("new standby"))
		_, err := s.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String(sandbox.SecretName), SecretString: &value})
		if err != nil {
			t.Fatal(err)
		}
	}
	put(s.box.Panther.NewToken("new active"))
	if problems := s.problems(t); !slices.Equal(problems, []string{"AWSCURRENT does not hold " + s.kept + ", the token to keep"}) {
		t.Errorf("with two new tokens: %q", problems)
	}
	put(before[0])
	if problems := s.problems(t); len(problems) > 0 {
		t.Errorf("with the active token again: %q", problems)
	}
}
