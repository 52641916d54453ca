package lambdaruntime

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"runtime"
	"strings"
	"time"
)

// configuration is a function as Lambda's API describes it
// (https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html).
type configuration struct {
	FunctionName, FunctionArn, Runtime, Handler, PackageType, Version, LastModified string
	State, LastUpdateStatus                                                         string
	Timeout, MemorySize                                                             int
	Architectures                                                                   []string
	Environment                                                                     environment
	LoggingConfig                                                                   loggingConfig
}

type environment struct{ Variables map[string]string }

type loggingConfig struct {
	LogFormat, LogGroup string
	ApplicationLogLevel string `json:",omitempty"`
	SystemLogLevel      string `json:",omitempty"`
}

// settings returns the function's configuration of this moment.
func (f *Function) settings() Options {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.options
}

// LogGroup is the name of the group that the function logs to.
func (f *Function) LogGroup() string { return "/aws/lambda/" + f.options.Name }

func (f *Function) describe() configuration {
	o := f.settings()
	c := configuration{
		FunctionName: o.Name, FunctionArn: f.ARN(), Runtime: "provided.al2023", Handler: "bootstrap", PackageType: "Zip", Version: "$LATEST",
		LastModified: o.modified.UTC().Format("2006-01-02T15:04:05.000-0700"),
		State:        "Active", LastUpdateStatus: "Successful",
		Timeout: int(o.Timeout / time.Second), MemorySize: o.MemoryMB,
		Architectures: []string{map[string]string{"amd64": "x86_64"}[runtime.GOARCH]},
		Environment:   environment{o.Env},
		LoggingConfig: loggingConfig{LogFormat: "Text", LogGroup: f.LogGroup()},
	}
	if c.Architectures[0] == "" {
		c.Architectures[0] = runtime.GOARCH
	}
	if o.JSONLog {
		c.LoggingConfig = loggingConfig{"JSON", f.LogGroup(), "INFO", "INFO"}
	}
	return c
}

// REST serves the function in Lambda's API: GetFunction,
// GetFunctionConfiguration, UpdateFunctionConfiguration (of timeout and
// variables) and Invoke.
func (f *Function) REST() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, act func(w http.ResponseWriter, r *http.Request)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			name := r.PathValue("name")
			if name != f.options.Name && name != f.ARN() {
				restError(w, http.StatusNotFound, "ResourceNotFoundException", "Function not found: "+strings.Replace(f.ARN(), f.options.Name, name, 1))
				return
			}
			act(w, r)
		})
	}
	handle("GET /2015-03-31/functions/{name}", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, map[string]any{"Configuration": f.describe()})
	})
	handle("GET /2015-03-31/functions/{name}/configuration", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, f.describe())
	})
	handle("PUT /2015-03-31/functions/{name}/configuration", f.update)
	handle("POST /2015-03-31/functions/{name}/invocations", f.serveInvoke)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		restError(w, http.StatusNotFound, "UnknownOperationException", "The sandbox's Lambda does not have "+r.Method+" "+r.URL.Path)
	})
	return mux
}

// update changes timeout and variables. It ends the function's processes, as
// Lambda does in time.
func (f *Function) update(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Timeout     *int
		Environment *environment
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		restError(w, http.StatusBadRequest, "InvalidRequestContentException", "The sandbox does not take this: "+err.Error())
		return
	}
	if in.Timeout != nil && (*in.Timeout < 1 || *in.Timeout > 900) {
		restError(w, http.StatusBadRequest, "InvalidParameterValueException", "The timeout must be from 1 to 900 seconds")
		return
	}
	if in.Environment != nil {
		if err := checkVariables(in.Environment.Variables); err != nil {
			restError(w, http.StatusBadRequest, "InvalidParameterValueException", err.Error())
			return
		}
	}
	f.mu.Lock()
	if in.Timeout != nil {
		f.options.Timeout = time.Duration(*in.Timeout) * time.Second
	}
	if in.Environment != nil {
		f.options.Env = maps.Clone(in.Environment.Variables)
	}
	f.options.modified = time.Now()
	f.mu.Unlock()
	f.Retire()
	answerJSON(w, http.StatusOK, f.describe())
}

// serveInvoke is Invoke (https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html).
func (f *Function) serveInvoke(w http.ResponseWriter, r *http.Request) {
	event, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller went away
	}
	if len(event) == 0 {
		event = []byte("{}")
	}
	if !json.Valid(event) {
		restError(w, http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json")
		return
	}
	switch r.Header.Get("X-Amz-Invocation-Type") {
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
		return
	case "Event":
		go f.Invoke(context.WithoutCancel(r.Context()), event) // the request's ends with the answer
		w.WriteHeader(http.StatusAccepted)
		return
	}
	payload, err := f.Invoke(r.Context(), event)
	w.Header().Set("X-Amz-Executed-Version", "$LATEST")
	failure, failed := errors.AsType[*FunctionError](err)
	switch {
	case failed:
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		payload = failure.Payload
	case err != nil:
		restError(w, http.StatusInternalServerError, "ServiceException", err.Error())
		return
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(payload)
}

func restError(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("X-Amzn-ErrorType", kind)
	answerJSON(w, status, map[string]string{"Type": "User", "Message": message})
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
