// The hello-world that the benchmark compares the function with: the least
// that a Lambda function in Go on aws-lambda-go can be.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(context.Context) (string, error) { return "hello, world", nil })
}
