package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"panther-token-rotation/internal/test/cmd/terminal"
	"panther-token-rotation/internal/test/sandbox"
)

// instructions are what to paste into another terminal. All commands work as
// they stand, one by one or all at once, in any POSIX shell.
func instructions(term *terminal.Terminal, box *sandbox.Sandbox, s settings, control string) string {
	var text strings.Builder
	about := func(format string, args ...any) { text.WriteString("\n" + fmt.Sprintf(format, args...) + "\n") }
	paste := func(format string, args ...any) {
		for line := range strings.Lines(fmt.Sprintf(format, args...)) {
			text.WriteString("  " + term.Marked(strings.TrimSuffix(line, "\n")) + "\n")
		}
	}
	create := func(name string, keys ...string) {
		value := map[string]string{}
		for _, key := range keys {
			value[key] = box.Panther.NewToken(name)
		}
		paste("aws secretsmanager create-secret --name %s \\\n  --secret-string %s", name, quoted(value))
	}
	rotate := func(name string, rules map[string]any) {
		paste("aws secretsmanager rotate-secret --secret-id %s \\\n  --rotation-lambda-arn %s \\\n  --rotation-rules %s",
			name, box.Function.ARN(), quoted(rules))
	}

	text.WriteString(term.Bold("The sandbox is up.") + " Paste the indented lines into another terminal. Ctrl-C here ends it.\n")

	about("Have the aws CLI v2 talk to the sandbox. It takes any credentials:")
	paste("%s", strings.Join(environment(box), "\n"))

	about("Make a secret with two tokens of the sandbox's Panther, and rotate it now. Readers use the first:")
	create("acme/panther", s.tokenKey, s.standbyKey)
	rotate("acme/panther", map[string]any{"AutomaticallyAfterDays": 30})

	about("Look at its staging labels, its value and its versions:")
	paste("aws secretsmanager describe-secret --secret-id acme/panther")
	paste("aws secretsmanager get-secret-value --secret-id acme/panther")
	paste("aws secretsmanager list-secret-version-ids --secret-id acme/panther --include-deprecated")

	about("Rotate another one, with a single token, on a schedule. %s:", pace(s.SecretsManager.Speed))
	create("acme/panther-scheduled", s.tokenKey)
	rotate("acme/panther-scheduled", map[string]any{"ScheduleExpression": "rate(4 hours)"})

	about("Read the log, and run the daily check:")
	paste("aws logs tail %s --since 15m", box.Function.LogGroup())
	paste("aws lambda invoke --function-name %s \\\n  --cli-binary-format raw-in-base64-out --payload '{\"Check\":\"secrets\"}' /dev/stdout", box.Function.ARN())

	about("Rehearse an emergency. This lists the faults; a number and Enter here switch one, too:")
	paste("curl http://%s/", control)

	about("To stop the schedule (between two rotations: cancelling one leaves its readers without a token):\n" +
		"aws secretsmanager cancel-rotate-secret --secret-id acme/panther-scheduled")

	about("For a clock of another speed and for awkward quirks: make sandbox ARGS=-h\n"+
		"Panther is at %s\n"+
		"Here follows the log of the function, with the progress of rotations in between:", box.PantherURL)
	return text.String() + "\n"
}

// environment are the lines that have the aws CLI talk to the sandbox.
func environment(box *sandbox.Sandbox) []string {
	return []string{
		"unset AWS_PROFILE",
		fmt.Sprintf("export AWS_ENDPOINT_URL=%s AWS_REGION=%[2]s AWS_DEFAULT_REGION=%[2]s", box.SecretsManagerURL, box.Region),
		"export AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox AWS_SESSION_TOKEN= AWS_PAGER=",
	}
}

// quoted writes v in JSON, as one word of a shell command.
func quoted(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return "'" + strings.ReplaceAll(string(text), "'", `'\''`) + "'"
}

// pace says how often four hours, the shortest interval of Secrets Manager, come
// round.
func pace(speed float64) string {
	every := time.Duration(float64(4*time.Hour) / speed)
	if every > 10*time.Millisecond {
		every = every.Round(10 * time.Millisecond)
	}
	if speed == 1 {
		return "The clock runs at its real speed, so take a faster one to see that, such as -speed 1440"
	}
	return fmt.Sprintf("At -speed %v, every 4 hours is every %v", speed, every)
}
