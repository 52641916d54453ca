package lambdaruntime

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"time"
)

// log passes one line on.
func (f *Function) log(line string) {
	if f.options.Log == nil {
		return
	}
	f.logging.Lock()
	defer f.logging.Unlock()
	f.options.Log(line)
}

// logPlatform writes a line of Lambda's own in the log format JSON.
func (f *Function) logPlatform(kind string, record map[string]any) {
	line, err := json.Marshal(map[string]any{"time": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "type": "platform." + kind, "record": record})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	f.log(string(line))
}

func (f *Function) logInitStart() {
	if f.options.JSONLog {
		f.logPlatform("initStart", map[string]any{"initializationType": "on-demand", "phase": "init",
			"runtimeVersion": "provided:al2023", "functionName": f.options.Name, "functionVersion": "$LATEST"})
		return
	}
	f.log("INIT_START Runtime Version: provided:al2023")
}

func (f *Function) logStart(requestID string) {
	if f.options.JSONLog {
		f.logPlatform("start", map[string]any{"requestId": requestID, "version": "$LATEST"})
		return
	}
	f.log("START RequestId: " + requestID + " Version: $LATEST")
}

// logInitFailure writes the lines of an invocation that failed in init. The time
// that init took counts as the invocation's.
func (f *Function) logInitFailure(requestID string, duration time.Duration, failure *FunctionError) {
	if f.options.JSONLog {
		f.logPlatform("initReport", map[string]any{"initializationType": "on-demand", "phase": "init", "status": statusWord(failure),
			"errorType": failure.ErrorType, "metrics": map[string]any{"durationMs": milliseconds(duration)}})
	} else {
		f.log(fmt.Sprintf("INIT_REPORT Init Duration: %.2f ms\tPhase: init\t%s", milliseconds(duration), status(failure)))
	}
	f.logStart(requestID)
	f.logEnd(ending{requestID: requestID, duration: duration, failure: failure})
}

// ending is how an invocation went. failure is nil if the process lives on.
type ending struct {
	requestID              string
	duration, initDuration time.Duration
	peakMB                 int
	failure                *FunctionError
	answer                 *answer
}

// logEnd writes the lines that close an invocation. With a custom runtime the
// billed duration includes init (https://aws.amazon.com/lambda/pricing/).
func (f *Function) logEnd(r ending) {
	if r.failure != nil {
		f.logFailure(r.requestID, r.failure)
	}
	if f.options.JSONLog {
		f.logPlatform("report", r.record(f.options.MemoryMB))
		return
	}
	f.log("END RequestId: " + r.requestID)

	var text strings.Builder
	fmt.Fprintf(&text, "REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB\t",
		r.requestID, milliseconds(r.duration), r.billed(), f.options.MemoryMB)
	if r.peakMB > 0 {
		fmt.Fprintf(&text, "Max Memory Used: %d MB\t", r.peakMB)
	}
	if r.initDuration > 0 {
		fmt.Fprintf(&text, "Init Duration: %.2f ms\t", milliseconds(r.initDuration))
	}
	if r.failure != nil {
		text.WriteString(status(r.failure))
	}
	f.log(text.String())
}

func (r ending) billed() float64 { return math.Ceil(milliseconds(r.duration + r.initDuration)) }

// record is the report in the log format JSON
// (https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report).
func (r ending) record(memoryMB int) map[string]any {
	metrics := map[string]any{"durationMs": milliseconds(r.duration), "billedDurationMs": r.billed(), "memorySizeMB": memoryMB}
	if r.peakMB > 0 {
		metrics["maxMemoryUsedMB"] = r.peakMB
	}
	if r.initDuration > 0 {
		metrics["initDurationMs"] = milliseconds(r.initDuration)
	}
	record := map[string]any{"requestId": r.requestID, "metrics": metrics, "status": "success"}
	failure := r.failure
	if failure == nil && r.answer != nil {
		failure = r.answer.failure
	}
	if failure != nil {
		record["status"], record["errorType"] = statusWord(failure), failure.ErrorType
	}
	return record
}

func statusWord(failure *FunctionError) string {
	if failure.ErrorType == errorTypeTimeout {
		return "timeout"
	}
	return "error"
}

func (f *Function) logFailure(requestID string, failure *FunctionError) {
	if failure.ErrorType == errorTypeTimeout {
		_, text, _ := strings.Cut(failure.Message, "Error: ")
		f.log(time.Now().UTC().Format("2006-01-02T15:04:05.000Z") + " " + requestID + " " + text)
		return
	}
	f.log(failure.Message)
	f.log(failure.ErrorType)
}

// status is the end of a REPORT line of an invocation whose process is gone.
func status(failure *FunctionError) string {
	if failure.ErrorType == errorTypeTimeout {
		return "Status: timeout"
	}
	return "Status: error\tError Type: " + failure.ErrorType
}

func milliseconds(d time.Duration) float64 {
	return float64(d) / float64(time.Millisecond)
}

// output logs what a process writes to one of its streams, line by line.
type output struct {
	read, write *os.File
	mark        string        // see sync
	reached     chan struct{} // filled when the mark was read
	ended       chan struct{} // closed when the stream has been read to its end
}

// outputEndLimit is how long the end of a stream is awaited once the process is
// gone, should something that escaped its process group hold it open.
const outputEndLimit = time.Second

func newOutput(log func(line string)) (*output, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o := &output{
		read:    read,
		write:   write,
		mark:    "\x00" + randomHex(16) + "\n",
		reached: make(chan struct{}, 1),
		ended:   make(chan struct{}),
	}
	go o.pass(log)
	return o, nil
}

func (o *output) pass(log func(line string)) {
	defer close(o.ended)
	lines := bufio.NewReader(o.read)
	begun := "" // of a line whose rest came after the mark
	for {
		text, err := lines.ReadString('\n')
		text, marked := strings.CutSuffix(text, o.mark)
		begun += text
		if marked {
			o.reached <- struct{}{}
			continue
		}
		if begun != "" {
			log(strings.TrimSuffix(begun, "\n"))
		}
		begun = ""
		if err != nil {
			return
		}
	}
}

// sync returns when every whole line the process wrote before is logged. A pipe
// keeps its order, so it is enough to write a mark into it and wait for that. A
// line that is not ended yet waits for its end, or for that of the process.
func (o *output) sync() {
	if _, err := o.write.WriteString(o.mark); err != nil {
		<-o.ended // the only reason is close
		return
	}
	select {
	case <-o.reached:
	case <-o.ended:
	}
}

// close logs the rest of what the process wrote, which must have ended.
func (o *output) close() {
	o.write.Close()
	o.read.SetReadDeadline(time.Now().Add(outputEndLimit))
	<-o.ended
	o.read.Close()
}
