package lambdaruntime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// TestMain lets the test binary be the Lambda function that the tests run.
func TestMain(m *testing.M) {
	if address := os.Getenv("TEST_HOLD"); address != "" {
		meet(address)
		return
	}
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		actAsFunction()
		return
	}
	os.Exit(m.Run())
}

// order is the payload of the tests' function: what to do.
type order struct {
	Do      string
	Address string // of the test, for meet
}

type report struct {
	PID         int
	Environment []string
	RequestID   string
	ARN         string
	TraceID     string
	Remaining   time.Duration
}

type teapotError struct{}

func (*teapotError) Error() string { return "cannot brew" }

// actAsFunction is the tests' function. TEST_INIT says what happens in init.
func actAsFunction() {
	switch how, argument, _ := strings.Cut(os.Getenv("TEST_INIT"), " "); how {
	case "exit":
		fmt.Println("no configuration")
		os.Exit(4)
	case "exit-once":
		if _, err := os.Stat(argument); err != nil {
			os.WriteFile(argument, nil, 0o600)
			os.Exit(4)
		}
	case "hang":
		time.Sleep(time.Hour) // select{} would be a deadlock to Go where cgo is off
	case "report", "report-and-stay":
		post("/2018-06-01/runtime/init/error", `{"errorType":"Config.Missing","errorMessage":"PANTHER_API_URL is not set"}`)
		fmt.Println("after the report")
		if how == "report" {
			os.Exit(1)
		}
		select {}
	case "careless":
		actCarelessly()
	}
	lambda.Start(obey)
}

func obey(ctx context.Context, o order) (any, error) {
	switch o.Do {
	case "fail":
		return nil, &teapotError{}
	case "panic":
		panic("out of beans")
	case "exit 3":
		os.Exit(3)
	case "exit 0":
		os.Exit(0)
	case "hang":
		time.Sleep(time.Hour)
	case "hang with a child":
		child := exec.Command(os.Args[0])
		child.Env = []string{"TEST_HOLD=" + o.Address}
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			return nil, err
		}
		select {}
	case "meet":
		meet(o.Address)
	case "print":
		fmt.Println("on stdout")
		fmt.Println("")
		fmt.Fprintln(os.Stderr, "on stderr")
	case "print half a line":
		fmt.Print("half")
	case "print half a line and exit":
		fmt.Print("half")
		os.Exit(3)
	case "print much":
		for i := range 100 {
			text := strings.Repeat(string(rune('a'+i%26)), 10_000)
			go fmt.Fprintln(os.Stderr, "stderr", text)
			fmt.Println("stdout", text)
		}
	}
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	traceID, _ := ctx.Value("x-amzn-trace-id").(string)
	return report{
		PID:         os.Getpid(),
		Environment: os.Environ(),
		RequestID:   lc.AwsRequestID,
		ARN:         lc.InvokedFunctionArn,
		TraceID:     traceID,
		Remaining:   time.Until(deadline),
	}, nil
}

// meet calls the test and waits until it is let go.
func meet(address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	io.Copy(io.Discard, conn)
}

// actCarelessly is a runtime that breaks the rules of the runtime API once, and
// prints what it is told.
func actCarelessly() {
	next := func() *http.Response {
		resp, err := http.Get("http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/next")
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp
	}
	id := next().Header.Get("Lambda-Runtime-Aws-Request-Id")
	fmt.Println("next without an answer:", next().StatusCode)
	fmt.Println("answer to another request:", post("/2018-06-01/runtime/invocation/other/response", "1"))
	fmt.Println("answer:", post("/2018-06-01/runtime/invocation/"+id+"/response", `"first"`))
	fmt.Println("second answer:", post("/2018-06-01/runtime/invocation/"+id+"/response", `"second"`))
	fmt.Println("unknown path:", post("/2018-06-01/runtime/exit", ""))

	id = next().Header.Get("Lambda-Runtime-Aws-Request-Id")
	post("/2018-06-01/runtime/invocation/"+id+"/error", "not JSON")
	next()
}

func post(path, body string) int {
	req, err := http.NewRequest("POST", "http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Lambda-Runtime-Function-Error-Type", "Type.OfTheHeader")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(errors.New("the runtime API does not answer"))
	}
	resp.Body.Close()
	return resp.StatusCode
}
