package explorer

import (
	"fmt"
	"runtime"
	"testing"
)

// reportRate prints how fast runs were made, beside whatever else the machine did.
func reportRate(t *testing.T, runs int64, seconds float64) {
	t.Helper()
	rate := int(float64(runs) / seconds / float64(runtime.GOMAXPROCS(0)))
	figure := fmt.Sprint(rate)
	if rate >= 1000 {
		figure = fmt.Sprintf("%d,%03d", rate/1000, rate%1000)
	}
	report(t, "explorer: %s runs a second and core, by the clock", figure)
}

// BenchmarkExplore makes every fiftieth run of those that
// TestEveryFaultAndEveryPairOfFaults makes, over and over.
func BenchmarkExplore(b *testing.B) {
	inBubble := bubble(new(testing.T)) // a bubble asks for one, and makes no use of it
	spread := everyFiftieth(inBubble)
	b.ReportAllocs()
	b.ResetTimer()
	for made := 0; made < b.N; {
		inBubble(func() {
			for range min(100, b.N-made) {
				next := spread[made%len(spread)]
				if w := run(next.setup, next.plan, Variant{}, 0, false); len(w.violations) > 0 {
					b.Errorf("%s, %s: %s", next.setup.Name, next.plan, w.violations[0])
				}
				made++
			}
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}

type planned struct {
	setup Setup
	plan  Plan
}

func everyFiftieth(inBubble Bubble) (spread []planned) {
	passed := 0
	pass := func(setup Setup, plan Plan) {
		if passed%50 == 0 {
			spread = append(spread, planned{setup, plan})
		}
		passed++
	}
	for _, setup := range Setups() {
		singles, _, _ := ExploreSingles(inBubble, setup, Variant{})
		for _, single := range singles {
			pass(setup, single.plan)
			if setup.SinglesOnly {
				continue
			}
			for _, pair := range single.plans() {
				pass(setup, pair)
			}
		}
	}
	return spread
}
