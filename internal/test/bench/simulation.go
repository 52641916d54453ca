package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// simulationAim is how many runs the simulation makes in a second of one core.
const simulationAim = 5000

// simulation measures how many runs the simulation makes in a second of one core's
// time: each is one world, one plan of faults, and all rotations until things
// settled. Exploring is a test, because only tests have simulated time.
func (b *bench) simulation(ctx context.Context) ([]figure, error) {
	binary := filepath.Join(b.dir, "simulation.test")
	if err := b.runGo(ctx, nil, "test", "-c", "-o", binary, "panther-token-rotation/internal/test/simulation"); err != nil {
		return nil, err
	}
	test, what := "TestEveryFaultAndEveryPairOfFaults", "every fault and every pair"
	if b.quick {
		test, what = test+"/scenarios/^other_processes$", "those of one scenario"
	}
	rate := sample{name: "explored runs, " + what, unit: "a second and core"}
	for range b.rounds(3, 1) {
		perSecond, err := b.explore(ctx, binary, test)
		if err != nil {
			return nil, err
		}
		rate.add(perSecond)
	}
	return []figure{{
		name:      "explored rotations a second and core",
		ours:      fmt.Sprintf("%.0f", rate.median()),
		yardstick: "–",
		ratio:     "–",
		aim:       fmt.Sprintf("at least %d", simulationAim),
		verdict:   metIf(rate.median() >= simulationAim),
		samples:   []sample{rate},
	}}, nil
}

// explored is how the simulation's tests report.
var explored = regexp.MustCompile(`(?m)^explored (\d+) runs`)

// explore runs a test of the simulation on one core and returns its runs per
// second of processor time, so that other work on the machine does not count.
func (b *bench) explore(ctx context.Context, binary, test string) (perSecond float64, err error) {
	cmd := exec.CommandContext(ctx, binary, "-test.run", test)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, strings.TrimSpace(output.String()))
	}
	report := explored.FindSubmatch(output.Bytes())
	if report == nil {
		return 0, fmt.Errorf("it does not say how much was explored\n%s", output.String())
	}
	runs, err := strconv.Atoi(string(report[1]))
	if err != nil {
		return 0, err
	}
	took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return float64(runs) / took.Seconds(), nil
}
