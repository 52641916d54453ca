package explorer

import (
	"os"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMain(m *testing.M) {
	// Runs are short and leave much garbage; there is memory enough.
	debug.SetGCPercent(1000)
	os.Exit(m.Run())
}

func bubble(t *testing.T) Bubble {
	return func(f func()) { synctest.Test(t, func(*testing.T) { f() }) }
}

// explore makes all singles and pairs of a setup, or all up to the first finding.
func explore(t *testing.T, setup Setup, variant Variant) (runs int, found *Finding) {
	singles, runs, found := ExploreSingles(bubble(t), setup, variant)
	if found != nil || setup.SinglesOnly {
		return runs, found
	}
	pairs, found := ExplorePairs(bubble(t), setup, variant, singles)
	return runs + pairs, found
}

func story(t *testing.T, found *Finding) (s string) {
	bubble(t)(func() { s = found.Story() })
	return s
}

func TestEveryFaultAndEveryPairOfFaults(t *testing.T) {
	var total atomic.Int64
	started := time.Now()
	t.Run("setups", func(t *testing.T) {
		for _, setup := range Setups() {
			t.Run(setup.Name, func(t *testing.T) {
				t.Parallel()
				runs, found := explore(t, setup, Variant{})
				total.Add(int64(runs))
				if found != nil {
					t.Errorf("after %d runs: %s", runs, story(t, found))
				}
			})
		}
	})
	took := time.Since(started).Seconds()
	report(t, "explored %d runs, every fault and, but for setups of singles only, every pair of faults, in %.1f s", total.Load(), took)
	reportRate(t, total.Load(), took)
}

func TestEveryFaultHasANameOfItsOwn(t *testing.T) {
	faults := map[string]Fault{}
	for f := none; f < faultCount; f++ {
		if other, taken := faults[f.String()]; taken || f.String() == "" {
			t.Errorf("fault %d is called %q, as is %d", f, f, other)
		}
		faults[f.String()] = f
	}
}

// TestEveryFaultDoesSomething shows that no fault is one in name alone: somewhere
// a run with it goes another way than the run without.
func TestEveryFaultDoesSomething(t *testing.T) {
	idle := map[Fault]bool{}
	for f := none + 1; f < faultCount; f++ {
		idle[f] = true
	}
	bubble(t)(func() {
		for _, setup := range Setups() {
			usual := run(setup, nil, Variant{}, 0, false)
			for _, plan := range usual.plans() {
				// Of two secrets, the first is rotated until the fault has struck,
				// so a later call would make a difference by itself.
				if f := plan[0].Fault; idle[f] && (setup.Secrets < 2 || plan[0].Call == 0) {
					idle[f] = slices.Equal(run(setup, plan, Variant{}, 0, false).kinds, usual.kinds)
				}
			}
		}
	})
	for f, nothingHappened := range idle {
		if nothingHappened {
			t.Errorf("%q changes nothing", f)
		}
	}
}
