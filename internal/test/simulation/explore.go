package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Counterexample is a run in which something did not hold.
type Counterexample struct {
	Scenario Scenario
	Plan     Plan
	Variant  Variant
	seed     uint64 // of a walk's run; 0 for an enumerated one
	calls    int
	// Violations has what did not hold, the first one first.
	Violations []string
}

// Scenarios are the worlds that are explored.
func Scenarios() []Scenario {
	const slow = 1200 * time.Millisecond
	return []Scenario{
		{Name: "ordinary", Propagation: slow, Sealed: true},
		{Name: "other processes", Spread: true},
		{Name: "old token lives on", Grace: 30 * time.Second, Propagation: slow, Sealed: true},
		{Name: "old token lives on, other processes", Grace: 30 * time.Second, Spread: true},
		{Name: "label moved back", State: MovedBack, Propagation: slow},
		{Name: "young token", Young: true, Propagation: slow, SinglesOnly: true},
		{Name: "two secrets", Secrets: 2, Sealed: true, SinglesOnly: true},
		{Name: "rotation cancelled", State: Cancelled, SinglesOnly: true},
		{Name: "timeout of 3 s", ShortTimeout: true, SinglesOnly: true},
		{Name: "what lives is out of reach", State: OutOfReach, SinglesOnly: true},
	}
}

// Bubble runs a function in simulated time: within synctest.Test.
type Bubble func(func())

// ExploreSingles runs a scenario without a fault and with every single fault at
// every call. It returns the runs with one fault, how many runs there were, and
// the counterexample with the fewest faults and calls, if there is one.
func ExploreSingles(bubble Bubble, scenario Scenario, variant Variant) (singles []*World, runs int, found *Counterexample) {
	bubble(func() {
		base := run(scenario, nil, variant, 0, false)
		found = shortest(found, base, 0)
		for _, plan := range base.plans() {
			w := run(scenario, plan, variant, 0, false)
			found = shortest(found, w, 0)
			singles = append(singles, w)
		}
	})
	return singles, len(singles) + 1, found
}

// ExplorePairs goes on from ExploreSingles with every second fault at every
// later call of those runs. It stops at the first of those runs that brings a
// counterexample.
func ExplorePairs(bubble Bubble, scenario Scenario, variant Variant, singles []*World) (runs int, found *Counterexample) {
	// A bubble for each, because its clock does not go beyond the year 2262.
	for _, single := range singles {
		bubble(func() {
			for _, plan := range single.plans() {
				runs++
				found = shortest(found, run(scenario, plan, variant, 0, false), 0)
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
func (w *World) plans() (plans []Plan) {
	first := 0
	if n := len(w.plan); n > 0 {
		first = w.plan[n-1].Call + 1
	}
	for call := first; call < w.explored; call++ {
		if w.isWithinPolling(call) {
			continue
		}
		for f := none + 1; f < faultCount; f++ {
			if f.canInject(w.kinds[call]) && (f != OtherSecret || len(w.secrets) > 1) {
				plans = append(plans, append(slices.Clone(w.plan), Injection{call, f}))
			}
		}
	}
	return plans
}

// isWithinPolling reports whether the call is like two before and two behind it:
// nothing changes while a token is asked for, so the ends of such a row stand for
// the whole.
func (w *World) isWithinPolling(call int) bool {
	if call < 2 || call+2 >= len(w.kinds) {
		return false
	}
	for _, kind := range w.kinds[call-2 : call+3] {
		if kind != callCheck {
			return false
		}
	}
	return true
}

// Walk makes one random run: any scenario, three to six faults, several secrets,
// any process. The same seed makes the same run.
func Walk(seed uint64, variant Variant) *Counterexample {
	scenario, plan := walkPlan(seed)
	return shortest(nil, run(scenario, plan, variant, seed, false), seed)
}

func walkPlan(seed uint64) (Scenario, Plan) {
	random := rand.New(rand.NewPCG(seed, 0))
	scenarios := Scenarios()
	scenario := scenarios[random.IntN(len(scenarios))]
	scenario.Secrets = 1 + random.IntN(3)
	var plan Plan
	call := 0
	for range 3 + random.IntN(4) {
		call += 1 + random.IntN(12)
		plan = append(plan, Injection{call, none + 1 + Fault(random.IntN(int(faultCount-1)))})
	}
	return scenario, plan
}

func run(scenario Scenario, plan Plan, variant Variant, seed uint64, telling bool) *World {
	w := newWorld(scenario, plan, variant)
	w.telling = telling
	if seed != 0 {
		w.random = rand.New(rand.NewPCG(seed, 1))
	}
	w.run()
	return w
}

func shortest(found *Counterexample, w *World, seed uint64) *Counterexample {
	if len(w.violations) == 0 {
		return found
	}
	if found != nil && cmp.Or(cmp.Compare(len(found.Plan), len(w.plan)), cmp.Compare(found.calls, w.calls)) <= 0 {
		return found
	}
	return &Counterexample{w.scenario, w.plan, w.variant, seed, w.calls, w.violations}
}

// Trace runs the counterexample again and tells what happens, call by call. It must
// run in a synctest bubble.
func (f *Counterexample) Trace() string {
	w := run(f.Scenario, f.Plan, f.Variant, f.seed, true)
	return fmt.Sprintf("%s\nsetup: %s; faults: %s\n%s", f.Violations[0], f.Scenario.Name, f.Plan, strings.Join(w.trace, "\n"))
}
