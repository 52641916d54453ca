package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"panther-token-rotation/internal/test/cmd/terminal"
	"panther-token-rotation/internal/test/sandbox"
)

const (
	secretName = "acme/panther"
	tokenKey   = "PANTHER_API_TOKEN"
	standbyKey = "PANTHER_API_TOKEN_STANDBY"
)

// form is a secret with one token, or with two in turn. Its value is a JSON
// object as people leave them behind: a program that decodes and encodes it
// changes more than the token.
type form struct {
	value           string
	tokens          int
	replaced, fresh string // what the rotation does
	held, then      string // what the two versions hold
}

var oneToken = form{tokens: 1, replaced: "token 1", fresh: "token 2", held: "token 1", then: "token 2", value: `{
    "owner" : "detection engineering",
    "PANTHER_API_TOKEN":   "‹token 1›",
  "retries":1.50e1,  "note": "caf\u00e9 \/ as typed" ,
    "contact" : null }`}

var twoTokens = form{tokens: 2, replaced: "token 2", fresh: "token 3", held: "tokens 1 and 2", then: "tokens 3 and 1", value: `{
    "owner" : "detection engineering",
    "PANTHER_API_TOKEN":   "‹token 1›",
    "PANTHER_API_TOKEN_STANDBY" : "‹token 2›",
  "retries":1.50e1,  "note": "caf\u00e9 \/ as typed" ,
    "contact" : null }`}

// demo is one run of it.
type demo struct {
	options sandbox.Options
	form    form
	reader  *sandbox.Reader
	// what the reader saw, from before the rotation until a moment after it
	accepted, asked int
	term            *terminal.Terminal
	story           *story
	box             *sandbox.Sandbox
	http            *http.Client
	sdk             *secretsmanager.Client
}

// secretState is the secret at one moment.
type secretState struct {
	labels            map[string][]string // version id → staging labels
	current, previous string              // the values; empty if there is none
}

// rotate builds and starts everything, has the token rotated and checks the
// outcome. The error says why that failed, or that a check did.
func rotate(ctx context.Context, term *terminal.Terminal, options sandbox.Options, f form) error {
	d := newDemo(term, options, f)
	defer d.close()

	term.Printf("%s\n", term.Bold("Rotating a Panther API token in AWS Secrets Manager"))
	term.Printf("The function is the real one, built for this machine. Secrets Manager, Lambda and Panther are\n" +
		"stand-ins on 127.0.0.1 that behave like the real ones. No AWS account is involved.\n\n")

	if err := d.start(ctx); err != nil {
		return err
	}
	before, err := d.createSecret(ctx)
	if err != nil {
		return err
	}
	if err := d.rotateSecret(ctx); err != nil {
		return err
	}
	after, err := d.look(ctx)
	if err != nil {
		return err
	}
	d.showLabels(before, after)
	if err := d.check(ctx, before, after); err != nil {
		return err
	}
	d.showCosts()
	return nil
}

func newDemo(term *terminal.Terminal, options sandbox.Options, f form) *demo {
	return &demo{options: options, form: f, term: term, story: newStory(term, options, f), http: &http.Client{
		Transport: &http.Transport{},
		Timeout:   10 * time.Second,
	}}
}

func (d *demo) close() {
	if d.reader != nil {
		d.reader.Stop()
	}
	if d.box != nil {
		d.box.Close()
	}
	d.http.CloseIdleConnections()
}

// start starts the sandbox and a client of its Secrets Manager, which is made as
// any program would make it.
func (d *demo) start(ctx context.Context) error {
	options := d.options
	options.Log = d.story.logged
	options.Panther.OnCall = d.story.pantherCalled
	options.SecretsManager.OnCall = d.story.secretsManagerCalled
	options.SecretsManager.OnEvent = d.story.happened

	d.term.Live("Building the function …")
	started := time.Now()
	box, err := sandbox.Start(ctx, options)
	if err != nil {
		return err
	}
	d.term.Printf("Built the function and started the sandbox in %s.\n\n", inShort(time.Since(started)))

	d.box = box
	d.sdk = secretsmanager.New(secretsmanager.Options{
		Region:       box.Region,
		BaseEndpoint: &box.SecretsManagerURL,
		HTTPClient:   d.http,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "sandbox", SecretAccessKey: "sandbox"}, nil
		}),
	})
	return nil
}

func (d *demo) createSecret(ctx context.Context) (secretState, error) {
	value := d.form.value
	for i := range d.form.tokens {
		name := fmt.Sprintf("token %d", i+1)
		value = strings.Replace(value, "‹"+name+"›", d.box.Panther.NewToken(name), 1)
	}
	created, err := d.sdk.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name:         aws.String(secretName),
		SecretString: &value,
	})
	if err != nil {
		return secretState{}, err
	}
	d.story.begin(aws.ToString(created.VersionId))

	d.term.Printf("%s\n", d.term.Bold("The secret"))
	if d.form.tokens == 2 {
		d.term.Printf("  %s holds two API tokens. Readers use the first. A rotation replaces the second, the\n  standby, and then they change places. Only the bytes of the tokens may change:\n\n", secretName)
	} else {
		d.term.Printf("  %s holds one API token. Only its bytes may change:\n\n", secretName)
	}
	for line := range strings.Lines(d.form.value) {
		for _, mark := range []string{"‹token 1›", "‹token 2›"} {
			line = strings.Replace(line, mark, d.term.Marked(mark), 1)
		}
		d.term.Printf("  %s\n", strings.TrimRight(line, "\n"))
	}
	return d.look(ctx)
}

// rotateSecret starts the rotation and waits for its end, while the story is
// told.
func (d *demo) rotateSecret(ctx context.Context) error {
	d.reader = d.box.StartReader(secretName, tokenKey)
	defer d.reader.Stop()
	d.story.reader = d.reader
	_, err := d.sdk.RotateSecret(ctx, &secretsmanager.RotateSecretInput{
		SecretId:          aws.String(secretName),
		RotationLambdaARN: aws.String(d.box.Function.ARN()),
		RotationRules:     &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)},
	})
	if err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-d.story.ended:
			err = errors.Join(err, sleep(ctx, 300*time.Millisecond))
			d.accepted, d.asked = d.reader.Count()
			return err
		case <-tick.C:
			d.story.tick()
		case <-ctx.Done():
			d.story.fallSilent()
			return ctx.Err()
		}
	}
}

// look reads the secret's labels and values.
func (d *demo) look(ctx context.Context) (secretState, error) {
	described, err := d.sdk.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String(secretName)})
	if err != nil {
		return secretState{}, err
	}
	state := secretState{labels: described.VersionIdsToStages}
	if state.current, err = d.read(ctx, "AWSCURRENT"); err != nil {
		return secretState{}, err
	}
	if labelled(state.labels, "AWSPREVIOUS") == "" {
		return state, nil
	}
	state.previous, err = d.read(ctx, "AWSPREVIOUS")
	return state, err
}

// read reads a value that is there, if only after a while.
func (d *demo) read(ctx context.Context, label string) (string, error) {
	giveUp := time.Now().Add(d.options.SecretsManager.ReadLag + 2*time.Second)
	for {
		v, err := d.sdk.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(secretName), VersionStage: &label})
		if err == nil {
			return aws.ToString(v.SecretString), nil
		}
		if _, lags := errors.AsType[*types.ResourceNotFoundException](err); !lags || time.Now().After(giveUp) {
			return "", err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
}

func (d *demo) showLabels(before, after secretState) {
	d.term.Printf("\n%s\n", d.term.Bold(fmt.Sprintf("%-36s%-18s%s", "Staging labels", "before", "after")))
	row := func(name, id string) {
		short := terminal.Pad(id[:min(8, len(id))]+"…", 23)
		d.term.Printf("  %s  %s%-18s%s\n", name, d.term.Dim(short), labels(before.labels, id), labels(after.labels, id))
	}
	row("version 1", d.story.old)
	row("version 2", d.story.new)
}

func labels(all map[string][]string, id string) string {
	on, ok := all[id]
	if !ok {
		return "–"
	}
	return strings.Join(slices.Sorted(slices.Values(on)), ", ")
}

func labelled(all map[string][]string, label string) string {
	for id, labels := range all {
		if slices.Contains(labels, label) {
			return id
		}
	}
	return ""
}

// check finds out whether the rotation did all it should.
func (d *demo) check(ctx context.Context, before, after secretState) error {
	oldToken, newToken := d.replacedToken(before.current), tokenIn(after.current, tokenKey)
	if err := d.awaitGrace(ctx); err != nil {
		return err
	}
	oldStatus, err := d.ask(ctx, oldToken)
	if err != nil {
		return err
	}
	newStatus, err := d.ask(ctx, newToken)
	if err != nil {
		return err
	}
	standbyStatus := 0
	if d.form.tokens == 2 {
		if standbyStatus, err = d.ask(ctx, tokenIn(after.current, standbyKey)); err != nil {
			return err
		}
	}
	logged, leak := d.story.searchLog(d.box.Panther.Issued())

	failed := 0
	d.term.Printf("\n%s\n", d.term.Bold("Checked"))
	check := func(ok bool, what, detail string) {
		mark := d.term.Good("✓")
		if !ok {
			mark = d.term.Bad("✗")
			failed++
		}
		if detail != "" {
			what = terminal.Pad(what, 60) + d.term.Dim(detail)
		}
		d.term.Printf("  %s %s\n", mark, what)
	}
	check(oldStatus == http.StatusUnauthorized || oldStatus == http.StatusForbidden,
		"Panther refuses "+d.form.replaced, fmt.Sprintf("HTTP %d", oldStatus))
	check(newStatus == http.StatusOK,
		"Panther accepts "+d.form.fresh+", as AWSCURRENT has it", fmt.Sprintf("HTTP %d", newStatus))
	if d.form.tokens == 2 {
		check(standbyStatus == http.StatusOK && tokenIn(after.current, standbyKey) == tokenIn(before.current, tokenKey),
			"Panther accepts token 1, which is the standby now", fmt.Sprintf("HTTP %d", standbyStatus))
		check(d.asked > 0 && d.accepted == d.asked, "a reader never noticed the rotation", fmt.Sprintf("%d of %d requests accepted", d.accepted, d.asked))
	}
	check(labelled(after.labels, "AWSCURRENT") == d.story.new, "AWSCURRENT is on version 2", "")
	check(labelled(after.labels, "AWSPREVIOUS") == d.story.old && after.previous == before.current,
		"AWSPREVIOUS is on version 1, which is unchanged", "")
	check(labelled(after.labels, "AWSPENDING") == "", "AWSPENDING is on no version", "")
	check(newToken != "" && d.rest(before.current) == d.rest(after.current),
		"the rest of the JSON secret is the same, byte for byte", fmt.Sprintf("%d bytes", len(d.rest(after.current))))
	check(!leak, "the function's log has no token in it, nor part of one", fmt.Sprintf("%d lines", logged))
	if failed > 0 {
		return fmt.Errorf("%d of these checks failed", failed)
	}
	return nil
}

// replacedToken returns the token that a rotation replaces.
func (d *demo) replacedToken(value string) string {
	if d.form.tokens == 2 {
		return tokenIn(value, standbyKey)
	}
	return tokenIn(value, tokenKey)
}

// rest returns a value without its tokens.
func (d *demo) rest(value string) string {
	for _, key := range []string{tokenKey, standbyKey} {
		if token := tokenIn(value, key); token != "" {
			value = strings.Replace(value, token, "", 1)
		}
	}
	return value
}

func tokenIn(secret, key string) string {
	var object map[string]any
	if json.Unmarshal([]byte(secret), &object) != nil {
		return ""
	}
	token, _ := object[key].(string)
	return token
}

// awaitGrace waits for the end of the old token's grace, if it has one.
func (d *demo) awaitGrace(ctx context.Context) error {
	end := d.story.switched.Add(d.options.Panther.OldTokenGrace)
	if time.Now().Before(end) {
		d.term.Printf("\nPanther still takes %s, for another %s of its grace.\n", d.form.replaced, inShort(time.Until(end)))
	}
	return sleep(ctx, time.Until(end))
}

// ask asks Panther the smallest question with a token, and returns the HTTP
// status of the answer.
func (d *demo) ask(ctx context.Context, token string) (int, error) {
	for attempt := 1; ; attempt++ {
		question := bytes.NewBufferString(`{"query":"{ __schema { queryType { name } } }"}`)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.box.PantherURL, question)
		if err != nil {
			return 0, err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("X-API-Key", token)
		response, err := d.http.Do(request)
		if err != nil {
			return 0, err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusTooManyRequests || attempt == 5 {
			return response.StatusCode, nil
		}
		if err := sleep(ctx, time.Second); err != nil {
			return 0, err
		}
	}
}

// showCosts says what the rotation cost.
func (d *demo) showCosts() {
	s, p := d.story, d.options.Panther
	d.term.Printf("\n%d calls to Secrets Manager, %d to Panther. %d of %d requests of the reader were accepted.\n", s.calls, s.pantherCalls, d.accepted, d.asked)
	if outage := max(s.moved.Sub(s.switched)-p.OldTokenGrace, 0); d.form.tokens == 1 && outage > 0 {
		d.term.Printf("AWSCURRENT held no working token for %s. With two tokens there is no such time: make demo\n", inShort(outage))
	}
	d.term.Printf("%s To try it by hand, with the aws CLI: make sandbox\n", d.term.Good("All of this was checked and is true."))
}

// inShort writes a duration as precisely as a reader needs it: 4.25 s, 310 ms.
func inShort(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
