package simulation

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	walkFor  = flag.Duration("walk", 300*time.Millisecond, "how long TestRandomWalk walks")
	walkSeed = flag.Uint64("seed", 0, "where TestRandomWalk begins; 0 takes a random seed")
)

// TestRandomWalk makes random runs with more faults, several secrets and any
// process, next to what is enumerated. make explore has it walk for longer.
func TestRandomWalk(t *testing.T) {
	seed := *walkSeed
	if seed == 0 {
		seed = rand.Uint64()>>1 + 1
	}
	var (
		runs    atomic.Int64
		wait    sync.WaitGroup
		mu      sync.Mutex
		found   *counterexample
		started = time.Now()
	)
	stopped := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return found != nil
	}
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for time.Since(started) < *walkFor && !stopped() {
				first := uint64(runs.Add(100)) - 100
				inBubble(t)(func() {
					for i := range uint64(100) {
						if f := walk(seed + first + i); f != nil {
							mu.Lock()
							found = f
							mu.Unlock()
							return
						}
					}
				})
			}
		})
	}
	wait.Wait()
	took := time.Since(started).Seconds()
	report(t, "walked %d random runs from seed %d in %.1f s: %.0f a second and core", runs.Load(), seed,
		took, float64(runs.Load())/took/float64(runtime.GOMAXPROCS(0)))
	if found != nil {
		t.Errorf("with -seed %d: %s", found.seed, traceOf(t, found))
	}
}

// report prints a figure, also where go test does not print logs of tests that
// pass.
func report(t *testing.T, format string, args ...any) {
	t.Helper()
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
