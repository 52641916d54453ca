package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"panther-token-rotation/internal/test/sandbox/lambdaruntime"
)

// memoryAim is how much memory the function may use at its peak, compared with
// hello-world.
const memoryAim = 1.5

// memory compares the peak of resident memory (VmHWM in proc_pid_status(5)) over
// a whole rotation with hello-world's over as many invocations.
func (b *bench) memory(ctx context.Context) ([]figure, error) {
	ours := sample{name: "peak memory: function", unit: "MiB"}
	hello := sample{name: "peak memory: hello-world", unit: "MiB"}
	for range b.rounds(15, 3) {
		// A second of propagation, so that testSecret asks several times.
		r, err := b.rotateOnce(ctx, time.Second)
		if err != nil {
			return nil, err
		}
		b.rotations = append(b.rotations, r)
		greeting, err := b.greetFourTimes(ctx)
		if err != nil {
			return nil, err
		}
		ours.add(float64(r.peakMemory) / 1024)
		hello.add(float64(greeting) / 1024)
	}
	f := timesAsMuch("peak memory over a whole rotation", "hello-world, four invocations", ours, hello, memoryAim)
	if f.verdict == notMeasured {
		f.yardstick += ": only Linux tells a process's peak"
	}
	return []figure{f}, nil
}

// greetFourTimes invokes hello-world with the events of a rotation, and returns
// its peak of memory in kB.
func (b *bench) greetFourTimes(ctx context.Context) (peak int, err error) {
	f, err := lambdaruntime.New(lambdaruntime.Options{Binary: b.hello, Name: "hello-world", Timeout: time.Minute})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
		event, err := json.Marshal(map[string]string{"Step": step, "SecretId": "bench", "ClientRequestToken": "bench"})
		if err != nil {
			return 0, err
		}
		if _, err := f.Invoke(ctx, event); err != nil {
			return 0, err
		}
	}
	return peakMemory(b.hello), nil
}

// peakMemory returns the peak of resident memory, in kB, of the process that
// runs a binary; 0 if there is none, or no /proc.
func peakMemory(binary string) (kB int) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		if runs, err := os.Readlink(filepath.Join(process, "exe")); err != nil || runs != binary {
			continue
		}
		status, err := os.ReadFile(filepath.Join(process, "status"))
		if err != nil {
			continue
		}
		fmt.Sscanf(fieldOf(string(status), "VmHWM"), "%d kB", &kB)
	}
	return kB
}
