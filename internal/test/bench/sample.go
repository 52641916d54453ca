package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// sample is one quantity, measured several times.
type sample struct {
	name   string
	unit   string
	values []float64
}

func (s *sample) add(value float64) { s.values = append(s.values, value) }

func (s *sample) min() float64    { return s.quantile(0) }
func (s *sample) median() float64 { return s.quantile(0.5) }
func (s *sample) max() float64    { return s.quantile(1) }

// quantile is the value below which the share q of the values lies, interpolated
// between the two nearest. It is NaN if there are none.
func (s *sample) quantile(q float64) float64 {
	if len(s.values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s.values))
	at := q * float64(len(sorted)-1)
	below := int(math.Floor(at))
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// inShort is the median with its unit.
func (s *sample) inShort() string { return strings.TrimSpace(number(s.median()) + " " + s.unit) }

// number writes a value with three digits or so, as precise as it is.
func number(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case abs < 1:
		return fmt.Sprintf("%.3f", v)
	case abs < 10:
		return fmt.Sprintf("%.2f", v)
	case abs < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
