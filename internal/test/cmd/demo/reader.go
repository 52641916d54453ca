package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"panther-token-rotation/internal/test/sandbox"
)

// reader is a program that uses the secret: it reads AWSCURRENT and calls
// Panther with the token, many times a second, over HTTP as any program would.
type reader struct {
	box  *sandbox.Sandbox
	http *http.Client
	end  context.CancelFunc
	done chan struct{}

	mu              sync.Mutex
	asked, accepted int
}

func startReader(box *sandbox.Sandbox) *reader {
	ctx, end := context.WithCancel(context.Background())
	r := &reader{box: box, http: &http.Client{Transport: &http.Transport{}}, end: end, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		for ctx.Err() == nil {
			r.use(ctx)
			_ = sleep(ctx, 20*time.Millisecond)
		}
	}()
	return r
}

func (r *reader) stop() {
	r.end()
	<-r.done
	r.http.CloseIdleConnections()
}

// count returns how many requests were accepted, of how many.
func (r *reader) count() (accepted, asked int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted, r.asked
}

// use reads the secret and asks Panther something. Only a refused token counts
// as one: a stand-in that throttles says nothing about it.
func (r *reader) use(ctx context.Context) {
	var secret struct{ SecretString string }
	read := r.post(ctx, r.box.SecretsManagerURL, `{"SecretId":"`+secretName+`"}`, map[string]string{
		"X-Amz-Target": "secretsmanager.GetSecretValue", "Content-Type": "application/x-amz-json-1.1",
		"Authorization": "AWS4-HMAC-SHA256 Credential=reader/20260101/" + r.box.Region + "/secretsmanager/aws4_request, SignedHeaders=host, Signature=none",
	}, &secret)
	if read != http.StatusOK {
		return
	}
	status := r.post(ctx, r.box.PantherURL, `{"query":"{ __schema { queryType { name } } }"}`, map[string]string{
		"Content-Type": "application/json", "X-API-Key": tokenIn(secret.SecretString, tokenKey),
	}, nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch status {
	case http.StatusOK:
		r.asked++
		r.accepted++
	case http.StatusUnauthorized, http.StatusForbidden:
		r.asked++
	}
}

// post returns the HTTP status, or 0 if there is no answer.
func (r *reader) post(ctx context.Context, url, body string, header map[string]string, into any) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := r.http.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	if into != nil && json.NewDecoder(response.Body).Decode(into) != nil {
		return 0
	}
	return response.StatusCode
}
