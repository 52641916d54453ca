package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// thisMachine describes the machine as far as figures depend on it.
func thisMachine() string {
	cpu := "CPU of unknown make"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if model := fieldOf(string(info), "model name"); model != "" {
			cpu = model
		}
	}
	return fmt.Sprintf("%d cores, %s, %s/%s, %s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// fieldOf returns the value of a line "name : value", as in files of /proc.
func fieldOf(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
