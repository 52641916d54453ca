package simulation

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var everyPair = flag.Bool("pairs", false, "try every pair of faults in every scenario, not only where it is marked")

func TestMain(m *testing.M) {
	// Runs are short and leave much garbage; there is memory enough.
	debug.SetGCPercent(2000)
	os.Exit(m.Run())
}

func inBubble(t *testing.T) bubble {
	return func(f func()) { synctest.Test(t, func(*testing.T) { f() }) }
}

// TestEveryFaultAndEveryPairOfFaults makes all singles of every scenario, and
// all pairs where the scenario is marked, or all up to the first counterexample.
func TestEveryFaultAndEveryPairOfFaults(t *testing.T) {
	var total atomic.Int64
	started := time.Now()
	t.Run("scenarios", func(t *testing.T) {
		for _, s := range scenarios {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				singles, runs, found := exploreSingles(inBubble(t), s)
				if found == nil && (s.pairs || *everyPair) {
					var pairs int
					pairs, found = explorePairs(inBubble(t), s, singles, *everyPair)
					runs += pairs
				}
				total.Add(int64(runs))
				if found != nil {
					t.Errorf("after %d runs: %s", runs, traceOf(t, found))
				}
			})
		}
	})
	took := time.Since(started).Seconds()
	report(t, "explored %d runs in %.1f s: %.0f a second and core, by the clock", total.Load(), took, float64(total.Load())/took/float64(runtime.GOMAXPROCS(0)))
	if left := withoutPairs(); len(left) > 0 && !*everyPair {
		report(t, "left to make explore: pairs of faults in: %s", strings.Join(left, "; "))
		report(t, "left to make explore: pairs with: %s", strings.Join(seldomPaired, "; "))
	}
}

func withoutPairs() (names []string) {
	for _, s := range scenarios {
		if !s.pairs {
			names = append(names, s.name)
		}
	}
	return names
}

func traceOf(t *testing.T, found *counterexample) (s string) {
	inBubble(t)(func() { s = found.trace() })
	return s
}

// TestATraceIsReproducible holds the simulation to its promise that a run depends
// on its plan alone.
func TestATraceIsReproducible(t *testing.T) {
	found := &counterexample{scenario: scenarios[0], plan: plan{{7, faults[1]}, {12, faults[0]}}, violations: []string{"none"}}
	if first, second := traceOf(t, found), traceOf(t, found); first != second {
		t.Errorf("two traces differ:\n%s\n%s", first, second)
	}
}

func TestEveryFaultHasANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range seldomPaired {
		faultNamed(name)
	}
	for i, f := range faults {
		if seen[f.name] || f.name == "" {
			t.Errorf("fault %d is called %q, as is another", i, f.name)
		}
		seen[f.name] = true
	}
}

// TestNoTwoFaultsAreTheSame shows that no fault is one in name alone: of each two,
// and of each and none, there is a call at which they make a difference, alone or
// after another fault.
func TestNoTwoFaultsAreTheSame(t *testing.T) {
	same := map[[2]string]bool{} // what strikes the same calls; true until a difference is seen
	for _, s := range scenarios {
		if !slices.Contains([]string{"one token", "two tokens", "two secrets", "two tokens, after two rotations"}, s.name) {
			continue // these are enough, and quick
		}
		inBubble(t)(func() {
			usual := run(s, nil, 0, false)
			for _, first := range usual.firsts() {
				before := run(s, first, 0, false)
				usualCourse := courseOf(before)
				for n := range min(before.explored, 40) {
					if before.isWithinPolling(n) || s.secrets > 1 && n > 0 || len(first) > 0 && n <= first[0].call {
						continue // the first secret is rotated until the fault has struck: a difference by itself
					}
					course := map[string]string{"no fault": usualCourse}
					for _, f := range faults {
						if f.strikes(before, before.kinds[n]) {
							course[f.name] = courseOf(run(s, append(first, injection{n, f}), 0, false))
						}
					}
					compare(same, course)
				}
			}
		})
	}
	for names, stillSame := range same {
		if stillSame {
			t.Errorf("%q makes no difference to %q", names[0], names[1])
		}
	}
}

// firsts returns no fault, and two that have a token stored later or elsewhere.
func (w *world) firsts() []plan {
	if n := slices.Index(w.kinds, callRotate); n >= 0 {
		return []plan{nil, {{n + 1, faultNamed("writes denied for 2 h")}}, {{n, faultNamed("token replaced by hand")}}}
	}
	return []plan{nil}
}

func faultNamed(name string) *fault {
	for _, f := range faults {
		if f.name == name {
			return f
		}
	}
	panic("no fault " + name)
}

func compare(same map[[2]string]bool, course map[string]string) {
	for a, one := range course {
		for b, other := range course {
			if a < b {
				before, seen := same[[2]string{a, b}]
				same[[2]string{a, b}] = (before || !seen) && one == other
			}
		}
	}
}

// courseOf distinguishes runs that went another way. It has to be asked as soon as
// the run is over.
func courseOf(w *world) string {
	var lost, versions int
	for _, t := range w.panther.tokens {
		if t.lost {
			lost++
		}
	}
	for _, s := range w.secrets {
		versions += len(s.versions)
	}
	return fmt.Sprint(w.kinds, len(w.panther.tokens), lost, versions, w.secrets[0].failures, w.secrets[0].enabled, len(w.processes), len(w.sealed), w.written, time.Since(w.started))
}
