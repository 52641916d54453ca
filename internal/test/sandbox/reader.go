package sandbox

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Reader is a program that uses a secret: it reads AWSCURRENT and calls
// Panther with the token, many times a second, over HTTP as any program would.
type Reader struct {
	box      *Sandbox
	secretID string
	key      string
	http     *http.Client
	end      context.CancelFunc
	done     chan struct{}

	mu              sync.Mutex
	asked, accepted int
}

// StartReader starts a reader of the token under key in a secret that is a
// JSON object. Stop ends it.
func (s *Sandbox) StartReader(secretID, key string) *Reader {
	ctx, end := context.WithCancel(context.Background())
	r := &Reader{box: s, secretID: secretID, key: key, http: &http.Client{Transport: &http.Transport{}}, end: end, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		for ctx.Err() == nil {
			r.use(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return r
}

// Stop ends the reader. It may be called more than once.
func (r *Reader) Stop() {
	r.end()
	<-r.done
	r.http.CloseIdleConnections()
}

// Count returns how many of its requests Panther accepted, of how many. A
// request that Panther neither accepted nor refused does not count.
func (r *Reader) Count() (accepted, asked int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted, r.asked
}

// use reads the secret and asks Panther something. Only a refused token counts
// as one: a stand-in that throttles says nothing about it.
func (r *Reader) use(ctx context.Context) {
	var secret struct{ SecretString string }
	read := r.post(ctx, r.box.SecretsManagerURL, `{"SecretId":"`+r.secretID+`"}`, map[string]string{
		"X-Amz-Target": "secretsmanager.GetSecretValue", "Content-Type": "application/x-amz-json-1.1",
		"Authorization": "AWS4-HMAC-SHA256 Credential=reader/20260101/" + r.box.Region + "/secretsmanager/aws4_request, SignedHeaders=host, Signature=none",
	}, &secret)
	if read != http.StatusOK {
		return
	}
	var value map[string]any
	_ = json.Unmarshal([]byte(secret.SecretString), &value)
	token, _ := value[r.key].(string)
	status := r.post(ctx, r.box.PantherURL, `{"query":"{ __schema { queryType { name } } }"}`, map[string]string{
		"Content-Type": "application/json", "X-API-Key": token,
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
func (r *Reader) post(ctx context.Context, url, body string, header map[string]string, into any) int {
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
