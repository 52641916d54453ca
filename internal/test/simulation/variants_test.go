package simulation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// brokenStore, brokenIssuer and brokenSealer pass calls on, but for those that a
// variant breaks.
type brokenStore struct {
	rotation.Store
	read     func(ctx context.Context, next rotation.Store, arn, id string) (rotation.Version, error)
	put      func(ctx context.Context, next rotation.Store, p rotation.Put) error
	versions func(ctx context.Context, next rotation.Store, arn string) ([]rotation.VersionInfo, error)
}

func (b *brokenStore) Read(ctx context.Context, arn, id string) (rotation.Version, error) {
	if b.read != nil {
		return b.read(ctx, b.Store, arn, id)
	}
	return b.Store.Read(ctx, arn, id)
}

func (b *brokenStore) Put(ctx context.Context, p rotation.Put) error {
	if b.put != nil {
		return b.put(ctx, b.Store, p)
	}
	return b.Store.Put(ctx, p)
}

func (b *brokenStore) Versions(ctx context.Context, arn string) ([]rotation.VersionInfo, error) {
	if b.versions != nil {
		return b.versions(ctx, b.Store, arn)
	}
	return b.Store.Versions(ctx, arn)
}

type brokenIssuer struct {
	rotation.Issuer
	rotate func(ctx context.Context, next rotation.Issuer, token secret.Text) (secret.Text, error)
}

func (b *brokenIssuer) Rotate(ctx context.Context, token secret.Text) (secret.Text, error) {
	return b.rotate(ctx, b.Issuer, token)
}

type brokenSealer func(arn, id string, value secret.Text) error

func (b brokenSealer) Seal(arn, id string, value secret.Text) error { return b(arn, id, value) }

// breakStore makes a variant of the protocol that is broken on the side of the
// store.
func breakStore(b brokenStore) func(*rotation.Config) {
	return func(parts *rotation.Config) {
		broken := b
		broken.Store = parts.Store
		parts.Store = &broken
	}
}

func breakIssuer(rotate func(context.Context, rotation.Issuer, secret.Text) (secret.Text, error)) func(*rotation.Config) {
	return func(parts *rotation.Config) { parts.Issuer = &brokenIssuer{parts.Issuer, rotate} }
}

// brokenVariants are mistakes that rotation functions are known to make. Each is
// the real protocol with one of its precautions taken away, by parts that answer
// as if it were not there. With each goes the violation that it comes down to,
// which it has to be caught by.
var brokenVariants = []struct {
	violation string
	Variant
}{
	{"rotateAPIToken is called for a version that has a value",
		Variant{Name: "does not look whether the version has a value", Parts: breakStore(brokenStore{
			read: func(context.Context, rotation.Store, string, string) (rotation.Version, error) {
				return rotation.Version{}, rotation.ErrNoValue
			},
		})}},
	{"rotateAPIToken is called for a version that has a value",
		Variant{Name: "takes a failed read for no value", Parts: breakStore(brokenStore{
			read: func(ctx context.Context, next rotation.Store, arn, id string) (rotation.Version, error) {
				v, err := next.Read(ctx, arn, id)
				if err != nil {
					err = rotation.ErrNoValue
				}
				return v, err
			},
		})}},
	{"rotateAPIToken is called without proof that storing works",
		Variant{Name: "does not prove that it may write", Parts: breakStore(brokenStore{
			put: func(ctx context.Context, next rotation.Store, p rotation.Put) error {
				if slices.Contains(p.Labels, rotation.LabelCurrent) {
					return nil
				}
				return next.Put(ctx, p)
			},
		})}},
	{"a token that reached a living process is not in the secret",
		Variant{Name: "drops the token of a version that was taken meanwhile", Parts: breakStore(brokenStore{
			put: func(ctx context.Context, next rotation.Store, p rotation.Put) error {
				err := next.Put(ctx, p)
				if errors.Is(err, rotation.ErrVersionTaken) {
					return nil
				}
				return err
			},
		})}},
	{"a token that reached a living process is not in the secret",
		Variant{Name: "believes that a failed write was stored", Parts: breakStore(brokenStore{
			put: func(ctx context.Context, next rotation.Store, p rotation.Put) error {
				err := next.Put(ctx, p)
				if slices.Contains(p.Labels, rotation.LabelPending) {
					return nil
				}
				return err
			},
		})}},
	{"a token that somebody had replaced, or has for something else, is AWSCURRENT",
		Variant{Name: "recovers tokens from older versions", Parts: breakStore(brokenStore{
			versions: func(ctx context.Context, next rotation.Store, arn string) ([]rotation.VersionInfo, error) {
				versions, err := next.Versions(ctx, arn)
				for i := range versions {
					versions[i].Created = time.Now()
				}
				return versions, err
			},
		})}},
	{"AWSCURRENT holds a dead token, although no answer was lost",
		Variant{Name: "looks for no token in other versions", Parts: breakStore(brokenStore{
			versions: func(context.Context, rotation.Store, string) ([]rotation.VersionInfo, error) { return nil, nil },
		})}},
	{"rotateAPIToken is repeated after a lost answer",
		Variant{Name: "repeats rotateAPIToken blindly", Parts: breakIssuer(
			func(ctx context.Context, next rotation.Issuer, token secret.Text) (fresh secret.Text, err error) {
				for range 3 {
					if fresh, err = next.Rotate(ctx, token); err == nil {
						break
					}
				}
				return fresh, err
			})}},
	{"rotateAPIToken is repeated after a lost answer",
		Variant{Name: "takes a lost answer for a call that was not sent", Parts: breakIssuer(
			func(ctx context.Context, next rotation.Issuer, token secret.Text) (secret.Text, error) {
				fresh, err := next.Rotate(ctx, token)
				if _, clear := errors.AsType[*rotation.AnswerError](err); err != nil && !clear {
					err = &rotation.AnswerError{Answer: rotation.NotSent, Summary: "no answer"}
				}
				return fresh, err
			})}},
	{"a token or a part of one is in the output",
		Variant{Name: "passes error texts on", Parts: breakIssuer(
			func(ctx context.Context, next rotation.Issuer, token secret.Text) (secret.Text, error) {
				fresh, err := next.Rotate(ctx, token)
				if err != nil {
					err = &rotation.AnswerError{Summary: err.Error()}
				}
				return fresh, err
			})}},
	{"a token that reached a living process is not in the secret",
		Variant{Name: "remembers nothing", Forgetful: true}},
	{"is still at work at Lambda's deadline",
		Variant{Name: "ignores the deadline", NoDeadline: true}},
	{"a token that reached the process is neither in the secret nor sealed",
		Variant{Name: "seals after storing", Parts: func(parts *rotation.Config) {
			sealer := parts.Sealer
			if sealer == nil {
				return
			}
			var unsealed func()
			parts.Sealer = brokenSealer(func(arn, id string, value secret.Text) error {
				unsealed = func() { _ = sealer.Seal(arn, id, value) }
				return nil
			})
			breakStore(brokenStore{put: func(ctx context.Context, next rotation.Store, p rotation.Put) error {
				err := next.Put(ctx, p)
				if err == nil && unsealed != nil {
					unsealed()
					unsealed = nil
				}
				return err
			}})(parts)
		}}},
}

// TestBrokenVariantsAreCaught shows that the simulation bites: it finds a
// violation in each variant, the one that it comes down to, with two faults at
// the most.
func TestBrokenVariantsAreCaught(t *testing.T) {
	for _, variant := range brokenVariants {
		t.Run(variant.Name, func(t *testing.T) {
			t.Parallel()
			found := firstCounterexample(t, variant.Variant)
			if found == nil {
				t.Fatal("the simulation found nothing wrong with it")
			}
			if !strings.Contains(found.Violations[0], variant.violation) {
				t.Errorf("caught by %q, want %q", found.Violations[0], variant.violation)
			}
			t.Logf("%s, %s: %s", found.Scenario.Name, found.Plan, found.Violations[0])
		})
	}
}

// firstCounterexample tries single faults in all scenarios before it tries pairs.
func firstCounterexample(t *testing.T, variant Variant) *Counterexample {
	singles := map[string][]*World{}
	for _, scenario := range Scenarios() {
		worlds, _, found := ExploreSingles(bubble(t), scenario, variant)
		if found != nil {
			return found
		}
		singles[scenario.Name] = worlds
	}
	for _, scenario := range Scenarios() {
		if scenario.SinglesOnly {
			continue
		}
		if _, found := ExplorePairs(bubble(t), scenario, variant, singles[scenario.Name]); found != nil {
			return found
		}
	}
	return nil
}

// TestAStoryIsReproducible holds the simulation to its promise that a run depends
// on its plan alone.
func TestAStoryIsReproducible(t *testing.T) {
	found := firstCounterexample(t, Variant{Forgetful: true})
	if found == nil {
		t.Fatal("no counterexample to tell")
	}
	if first, second := trace(t, found), trace(t, found); first != second {
		t.Errorf("two tellings differ:\n%s\n%s", first, second)
	}
}
