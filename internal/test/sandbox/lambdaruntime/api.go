package lambdaruntime

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// runtimeAPI serves Lambda's runtime API, version 2018-06-01
// (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).
func (p *process) runtimeAPI(functionARN string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		p.serveNext(w, r, functionARN)
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{requestID}/response", func(w http.ResponseWriter, r *http.Request) {
		payload, err := io.ReadAll(r.Body)
		if err != nil {
			return // the process broke off, so there is nobody to tell
		}
		p.serveAnswer(w, r, &answer{payload: payload})
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{requestID}/error", func(w http.ResponseWriter, r *http.Request) {
		failure, err := readError(r)
		if err != nil {
			return
		}
		p.serveAnswer(w, r, &answer{failure: failure})
	})
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", p.serveInitError)
	// The extensions API (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html),
	// as far as a runtime needs it that wants notice before it is ended.
	mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, _ *http.Request) {
		p.wantsNotice.Store(true)
		w.Header().Set("Lambda-Extension-Identifier", randomHex(16))
		io.WriteString(w, `{}`)
	})
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(_ http.ResponseWriter, r *http.Request) {
		select { // it registered for no event
		case <-r.Context().Done():
		case <-p.dead:
		}
	})
	return mux
}

// serveNext ends the invocation before, waits for the next one and delivers it.
func (p *process) serveNext(w http.ResponseWriter, r *http.Request, functionARN string) {
	if !p.becomeReady() {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the invocation before has no response or error yet")
		return
	}
	select {
	case inv := <-p.invocations:
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Lambda-Runtime-Aws-Request-Id", inv.requestID)
		header.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		header.Set("Lambda-Runtime-Invoked-Function-Arn", functionARN)
		header.Set("Lambda-Runtime-Trace-Id", inv.traceID)
		w.Write(inv.payload)
	case <-r.Context().Done():
	case <-p.dead:
	}
}

// becomeReady notes that the runtime is done with what it had to do. It is not
// if it owes an answer.
func (p *process) becomeReady() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil && p.current.answer == nil {
		return false
	}
	p.measureMemory()
	select {
	case p.ready <- struct{}{}:
	default:
	}
	return true
}

// serveAnswer records the answer to the invocation that the path names.
func (p *process) serveAnswer(w http.ResponseWriter, r *http.Request, given *answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil || p.current.requestID != r.PathValue("requestID") {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "this is not the request ID of the current invocation")
		return
	}
	if p.current.answer != nil {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the invocation has an answer already")
		return
	}
	p.measureMemory()
	p.current.answer = given
	accept(w)
}

// serveInitError records why init failed.
func (p *process) serveInitError(w http.ResponseWriter, r *http.Request) {
	failure, err := readError(r)
	if err != nil {
		return
	}
	select {
	case p.initFailed <- failure:
		accept(w)
	default:
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "init has failed already")
	}
}

func readError(r *http.Request) (*FunctionError, error) {
	payload, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return reportedError(r.Header.Get("Lambda-Runtime-Function-Error-Type"), payload), nil
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, status int, errorType, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(errorBody{ErrorType: errorType, ErrorMessage: message})
}

// measureMemory notes the memory that the process has used at most. A process
// that is gone cannot be asked, so this happens whenever it calls; p.mu is held.
func (p *process) measureMemory() {
	p.peakMB = max(p.peakMB, peakMemoryMB(p.cmd.Process.Pid))
}
