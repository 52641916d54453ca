package explorer

import (
	"os"
	"runtime/debug"
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

func TestEveryFaultAndEveryPairOfFaults(t *testing.T) {
	started := time.Now()
	total := 0
	for _, setup := range Setups() {
		t.Run(setup.Name, func(t *testing.T) {
			t.Parallel()
			runs, found := Explore(bubble(t), setup, Variant{})
			total += runs
			if found != nil {
				bubble(t)(func() { t.Errorf("after %d runs: %s", runs, found.Story()) })
			}
			t.Logf("%d runs", runs)
		})
	}
	took := time.Since(started)
	t.Logf("explored %d runs in %v: %.0f a second", total, took.Round(time.Millisecond), float64(total)/took.Seconds())
}
