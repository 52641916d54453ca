package main

import (
	"math/rand/v2"
	"testing"

	"panther-token-rotation/internal/test/sandbox/panther"
)

func TestATenthOfTheCallsFails(t *testing.T) {
	trouble := &trouble{random: rand.New(rand.NewPCG(1, 0)), on: true}
	before, after := 0, 0
	for range 10_000 {
		if f := trouble.ofSecretsManager("PutSecretValue", "s"); f != nil && f.AfterEffect {
			after++
		} else if f != nil {
			before++
		}
	}
	if all := before + after; all < 900 || all > 1100 || after < all/4 {
		t.Errorf("of 10,000 calls %d failed before their effect and %d after", before, after)
	}
	if calls, failed := trouble.turn(false); calls != 10_000 || failed != int64(before+after) {
		t.Errorf("counted %d calls, %d of them failed", calls, failed)
	}
	for range 1000 {
		if f := trouble.ofSecretsManager("PutSecretValue", "s"); f != nil {
			t.Fatal("trouble that is turned off goes on")
		}
	}
}

// TestNoTokenIsLostOnItsWay holds the benchmark to its text: an answer with a new
// token always arrives, as far as the token.
func TestNoTokenIsLostOnItsWay(t *testing.T) {
	trouble := &trouble{random: rand.New(rand.NewPCG(1, 0)), on: true}
	kinds := map[panther.FaultKind]int{}
	for range 10_000 {
		f := trouble.ofPanther(panther.Request{Operation: panther.RotateAPIToken})
		if f == nil {
			continue
		}
		kinds[f.Kind]++
		if f.AfterEffect {
			t.Fatalf("%s strikes after the token was rotated", f.Kind)
		}
		switch f.Kind {
		case panther.CutInToken, panther.NullToken, panther.Hang:
			t.Fatalf("%s costs the token", f.Kind)
		}
	}
	if kinds[panther.ErrorsBesideData] == 0 || kinds[panther.Reset] == 0 {
		t.Errorf("faults: %v", kinds)
	}
}

func TestTheBenchmarksOwnCallsGoThrough(t *testing.T) {
	trouble := &trouble{random: rand.New(rand.NewPCG(1, 0)), on: true}
	for range 1000 {
		if f := trouble.ofSecretsManager("RotateSecret", "s"); f != nil {
			t.Fatal("RotateSecret fails")
		}
	}
}

func TestNoTroubleIsNoResult(t *testing.T) {
	for _, c := range []crowd{{}, {calls: 10_000}, {calls: 10_000, failed: 400}} {
		if c.wasTroubled() == nil {
			t.Errorf("%d of %d failed calls are trouble enough", c.failed, c.calls)
		}
	}
	if err := (&crowd{calls: 10_000, failed: 900}).wasTroubled(); err != nil {
		t.Error(err)
	}
}
