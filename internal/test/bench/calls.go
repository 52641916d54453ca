package main

import (
	"context"
	"fmt"
)

// The calls that AWS's template makes for the same job, read from its source:
// DescribeSecret in each step; GetSecretValue of AWSCURRENT and of the new
// version, and PutSecretValue, in createSecret (GetRandomPassword is left out,
// since Panther makes the token); GetSecretValue in testSecret, which the template
// leaves to its user; DescribeSecret again and UpdateSecretVersionStage, for each
// of two labels, in finishSecret.
var templateCalls = map[string]int{"createSecret": 4, "setSecret": 1, "testSecret": 2, "finishSecret": 4}

const templateSource = "https://github.com/aws-samples/aws-secrets-manager-rotation-lambdas/blob/1e4106a23545b72bf19e6d3b282612b5c47c45f4/SecretsManagerRotationTemplate/lambda_function.py"

const callsAim = 10

// calls counts the calls to Secrets Manager in the rotations that were measured
// already.
func (b *bench) calls(context.Context) ([]figure, error) {
	ours := sample{name: "calls to Secrets Manager", unit: "calls"}
	for _, r := range b.rotations {
		n := r.callsTo(toSecretsManager, "")
		if n < len(templateCalls) { // each step makes one at least
			return nil, fmt.Errorf("a rotation was seen to make %d calls to Secrets Manager", n)
		}
		ours.add(float64(n))
	}
	template := 0
	for _, n := range templateCalls {
		template += n
	}
	return []figure{{
		name:      "calls to Secrets Manager in a whole rotation",
		ours:      fmt.Sprintf("%.0f", ours.median()),
		yardstick: fmt.Sprintf("%d, AWS's template for the same job", template),
		ratio:     times(ours.median() / float64(template)),
		aim:       fmt.Sprintf("at most %d", callsAim),
		verdict:   metIf(ours.median() <= callsAim),
		samples:   []sample{ours},
	}}, nil
}
