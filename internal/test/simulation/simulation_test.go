package simulation

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
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

// explore makes all singles and pairs of a scenario, or all up to the first counterexample.
func explore(t *testing.T, scenario Scenario, variant Variant) (runs int, found *Counterexample) {
	singles, runs, found := ExploreSingles(bubble(t), scenario, variant)
	if found != nil || scenario.SinglesOnly {
		return runs, found
	}
	pairs, found := ExplorePairs(bubble(t), scenario, variant, singles)
	return runs + pairs, found
}

func trace(t *testing.T, found *Counterexample) (s string) {
	bubble(t)(func() { s = found.Trace() })
	return s
}

func TestEveryFaultAndEveryPairOfFaults(t *testing.T) {
	var total atomic.Int64
	started := time.Now()
	t.Run("scenarios", func(t *testing.T) {
		for _, scenario := range Scenarios() {
			t.Run(scenario.Name, func(t *testing.T) {
				t.Parallel()
				runs, found := explore(t, scenario, Variant{})
				total.Add(int64(runs))
				if found != nil {
					t.Errorf("after %d runs: %s", runs, trace(t, found))
				}
			})
		}
	})
	took := time.Since(started).Seconds()
	report(t, "explored %d runs, every fault and, but for scenarios of singles only, every pair of faults, in %.1f s: %.0f a second and core, by the clock",
		total.Load(), took, float64(total.Load())/took/float64(runtime.GOMAXPROCS(0)))
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

// TestNoTwoFaultsAreTheSame shows that no fault is one in name alone: of each two,
// and of each and none, there is a call at which they make a difference.
func TestNoTwoFaultsAreTheSame(t *testing.T) {
	type pair [2]Fault
	same := map[pair]bool{} // what strikes the same calls; true until a difference is seen
	bubble(t)(func() {
		for _, scenario := range Scenarios() {
			usual := run(scenario, nil, Variant{}, 0, false)
			usualCourse := courseOf(usual)
			for call, kind := range usual.kinds[:usual.explored] {
				if usual.isWithinPolling(call) || scenario.Secrets > 1 && call > 0 {
					continue // the first secret is rotated until the fault has struck: a difference by itself
				}
				course := map[Fault]string{none: usualCourse}
				for f := none + 1; f < faultCount; f++ {
					if f.canInject(kind) && (f != OtherSecret || scenario.Secrets > 1) {
						course[f] = courseOf(run(scenario, Plan{{call, f}}, Variant{}, 0, false))
					}
				}
				for f := range course {
					for g := range f {
						if _, strikes := course[g]; strikes {
							before, seen := same[pair{f, g}]
							same[pair{f, g}] = (before || !seen) && course[f] == course[g]
						}
					}
				}
			}
		}
	})
	for faults, stillSame := range same {
		if stillSame {
			t.Errorf("%q makes no difference to %q", faults[0], faults[1])
		}
	}
}

// courseOf tells runs apart that went another way. It has to be asked as soon as
// the run is over.
func courseOf(w *World) string {
	return fmt.Sprint(w.kinds, len(w.panther.tokens), w.lostAnswer, len(w.processes), time.Since(w.started))
}
