package lambdaruntime

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLogHasTheFunctionsLinesBetweenStartAndEnd(t *testing.T) {
	fx := newFixture(t, nil)
	fx.report(order{Do: "print"})
	lines := fx.logged()
	// stdout and stderr are streams of their own, so their order is open.
	stderr := slices.Index(lines, "on stderr")
	if stderr < 2 || stderr > len(lines)-3 {
		t.Fatalf("the line on stderr is not between START and END: %q", lines)
	}
	fx.mu.Lock()
	fx.lines = slices.Delete(fx.lines, stderr, stderr+1)
	fx.mu.Unlock()
	fx.wantLog(initPattern, startPattern, "on stdout", "", endPattern, coldPattern)

	fx.forgetLog()
	id := fx.report(order{}).RequestID
	fx.wantLog(`START RequestId: `+id+` Version: \$LATEST`, `END RequestId: `+id, strings.Replace(reportPattern, idPattern, id, 1))
}

func TestLineIsLoggedWhole(t *testing.T) {
	fx := newFixture(t, nil)
	fx.report(order{Do: "print half a line"})
	fx.report(order{Do: "print half a line"})
	fx.failure(order{Do: "print half a line and exit"})
	lines := slices.DeleteFunc(fx.logged(), func(line string) bool { return !strings.Contains(line, "half") })
	if want := []string{"halfhalfhalf"}; !slices.Equal(lines, want) {
		t.Errorf("got the lines %q of one that was written in pieces, want %q", lines, want)
	}
}

func TestLinesArePassedOnBeforeTheInvocationEnds(t *testing.T) {
	fx := newFixture(t, nil)
	fx.logTakes = time.Millisecond // the log falls behind
	fx.report(order{Do: "print much"})
	lines := fx.logged()
	end := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "END ") })
	written := 0
	for _, line := range lines[:end] {
		if strings.HasPrefix(line, "stdout ") {
			written++
		}
	}
	if written != 100 {
		t.Errorf("%d lines come before END, want the 100 that were written before", written)
	}
}

func TestLinesOfConcurrentWritersStayWhole(t *testing.T) {
	fx := newFixture(t, nil)
	var invocations sync.WaitGroup
	for range 2 {
		invocations.Go(func() { fx.invoke(order{Do: "print much"}) })
	}
	invocations.Wait()
	fx.Kill() // a writer that is cut off leaves a piece of its last line at most

	platform := regexp.MustCompile(`\A(INIT_START|START|END|REPORT) .*\z`)
	whole := 0
	for _, line := range fx.logged() {
		_, text, _ := strings.Cut(line, " ")
		switch {
		case platform.MatchString(line):
		case text != strings.Repeat(text[:min(1, len(text))], len(text)):
			t.Errorf("mixed line of %d bytes: %.60q", len(line), line)
		case len(text) == 10_000:
			whole++
		}
	}
	if whole < 2*100 {
		t.Errorf("%d whole lines, want at least the 200 on stdout", whole)
	}
}

func TestBilledDurationIncludesInit(t *testing.T) {
	fx := newFixture(t, nil)
	fx.report(order{})
	lines := fx.logged()
	var duration, initDuration float64
	var billed int
	report := regexp.MustCompile(`Max Memory Used: \d+ MB\t`).ReplaceAllString(lines[len(lines)-1], "")
	_, report, _ = strings.Cut(report, "\t")
	const format = "Duration: %f ms\tBilled Duration: %d ms\tMemory Size: 128 MB\tInit Duration: %f ms"
	if _, err := fmt.Sscanf(report, format, &duration, &billed, &initDuration); err != nil {
		t.Fatalf("%v in %q", err, report)
	}
	if both := duration + initDuration; float64(billed) < both-0.02 || float64(billed) > both+1.02 {
		t.Errorf("billed %d ms, want %.2f ms, rounded up", billed, both)
	}
}

func TestPeakMemoryIsKnownOnLinux(t *testing.T) {
	used := peakMemoryMB(os.Getpid())
	if _, err := os.Stat("/proc/self/status"); err == nil && (used < 1 || used > 100_000) {
		t.Errorf("this process has used %d MB at most", used)
	}
	if used := peakMemoryMB(-1); used != 0 {
		t.Errorf("a process that does not exist has used %d MB", used)
	}
}
