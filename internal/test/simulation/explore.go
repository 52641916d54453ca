package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// slow is how long a new token takes to work in most scenarios.
const slow = 1200 * time.Millisecond

// scenarios are the worlds that are explored, each with one token and some with
// two.
var scenarios = []scenario{
	{name: "one token", propagation: slow, sealed: true, pairs: true},
	{name: "two tokens", two: true, propagation: slow, sealed: true, pairs: true},
	{name: "other processes", spread: true},
	{name: "two tokens, other processes", two: true, spread: true},
	{name: "old token lives on", grace: 30 * time.Second, propagation: slow, sealed: true},
	{name: "old token lives on, other processes", grace: 30 * time.Second, spread: true},
	{name: "two tokens, the old one lives on", two: true, grace: 30 * time.Second, spread: true},
	{name: "label moved back", state: movedBack, propagation: slow},
	{name: "two tokens, label moved back", two: true, state: movedBack, propagation: slow},
	{name: "young token", young: true, propagation: slow},
	{name: "two young tokens", two: true, young: true, propagation: slow},
	{name: "two secrets", secrets: 2, sealed: true},
	{name: "rotation cancelled", state: cancelled},
	{name: "two tokens, rotation cancelled", two: true, state: cancelled},
	{name: "timeout of 3 s", shortTimeout: true},
	{name: "what lives is out of reach", state: outOfReach},
	{name: "two tokens, what lives is out of reach", two: true, state: outOfReach},
	{name: "standby dead", two: true, state: standbyDead},
	{name: "after two rotations", rotations: 2, propagation: slow},
	{name: "two tokens, after two rotations", two: true, rotations: 2, sealed: true},
	{name: "tested first", testFirst: true, propagation: slow},
	{name: "two tokens, tested first", two: true, testFirst: true, sealed: true},
}

// counterexample is a run in which something did not hold.
type counterexample struct {
	scenario scenario
	plan     plan
	seed     uint64 // of a walk's run; 0 for an enumerated one
	calls    int
	// violations has what did not hold, the first one first.
	violations []string
}

// bubble runs a function in simulated time: within synctest.Test.
type bubble func(func())

// exploreSingles runs a scenario without a fault and with every single fault at
// every call. It returns the runs with one fault, how many runs there were, and
// the counterexample with the fewest faults and calls, if there is one.
func exploreSingles(in bubble, s scenario) (singles []*world, runs int, found *counterexample) {
	in(func() {
		base := run(s, nil, 0, false)
		found = shortest(found, base, 0)
		for _, p := range base.plans(true) {
			w := run(s, p, 0, false)
			found = shortest(found, w, 0)
			singles = append(singles, w)
		}
	})
	return singles, len(singles) + 1, found
}

// explorePairs goes on from exploreSingles with every second fault at every
// later call of those runs, and with those that are seldom paired if asked to. It
// stops at the first of those runs that brings a counterexample.
func explorePairs(in bubble, s scenario, singles []*world, all bool) (runs int, found *counterexample) {
	// A bubble for each, because its clock does not go beyond the year 2262.
	for _, single := range singles {
		if !all && single.plan[0].fault.isSeldomPaired() {
			continue
		}
		in(func() {
			for _, p := range single.plans(all) {
				runs++
				found = shortest(found, run(s, p, 0, false), 0)
			}
		})
		if found != nil {
			break
		}
	}
	return runs, found
}

// plans returns the plans that add one fault to the run's own, at a call behind
// the last of them.
func (w *world) plans(all bool) (plans []plan) {
	first := 0
	if n := len(w.plan); n > 0 {
		first = w.plan[n-1].call + 1
	}
	for n := first; n < w.explored; n++ {
		if w.isWithinPolling(n) {
			continue
		}
		for _, f := range faults {
			if f.strikes(w, w.kinds[n]) && (all || !f.isSeldomPaired()) {
				plans = append(plans, append(slices.Clone(w.plan), injection{n, f}))
			}
		}
	}
	return plans
}

// isWithinPolling reports whether the call is like two before and two behind it:
// nothing changes while a token is asked for, so the ends of such a row stand for
// the whole.
func (w *world) isWithinPolling(n int) bool {
	if n < 2 || n+2 >= len(w.kinds) {
		return false
	}
	for _, kind := range w.kinds[n-2 : n+3] {
		if kind != callCheck {
			return false
		}
	}
	return true
}

// walk makes one random run: any scenario, three to six faults, several secrets,
// any process. The same seed makes the same run.
func walk(seed uint64) *counterexample {
	s, p := walkPlan(seed)
	return shortest(nil, run(s, p, seed, false), seed)
}

func walkPlan(seed uint64) (scenario, plan) {
	random := rand.New(rand.NewPCG(seed, 0))
	s := scenarios[random.IntN(len(scenarios))]
	s.secrets = 1 + random.IntN(3)
	var p plan
	n := 0
	for range 3 + random.IntN(4) {
		n += 1 + random.IntN(12)
		p = append(p, injection{n, faults[random.IntN(len(faults))]})
	}
	return s, p
}

func run(s scenario, p plan, seed uint64, telling bool) *world {
	w := newWorld(s, p)
	w.telling = telling
	if seed != 0 {
		w.random = rand.New(rand.NewPCG(seed, 1))
	}
	w.run()
	return w
}

func shortest(found *counterexample, w *world, seed uint64) *counterexample {
	if len(w.violations) == 0 {
		return found
	}
	if found != nil && cmp.Or(cmp.Compare(len(found.plan), len(w.plan)), cmp.Compare(found.calls, w.calls)) <= 0 {
		return found
	}
	return &counterexample{w.scenario, w.plan, seed, w.calls, w.violations}
}

// trace runs the counterexample again and says what happens, call by call. It
// must run in a synctest bubble.
func (f *counterexample) trace() string {
	w := run(f.scenario, f.plan, f.seed, true)
	return fmt.Sprintf("%s\nscenario: %s; faults: %s\n%s", f.violations[0], f.scenario.name, f.plan, strings.Join(w.trace, "\n"))
}
