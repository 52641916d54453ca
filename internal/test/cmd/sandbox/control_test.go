package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"panther-token-rotation/internal/test/sandbox"
)

// ask sends a request to the control.
func ask(t *testing.T, method, url string) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true // so that no connection is left
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(body))
}

func TestControlSwitchesFaultsAndTokens(t *testing.T) {
	stdout, _ := start(t)
	control := regexp.MustCompile(`curl (http://127\.0\.0\.1:\d+)/`).FindStringSubmatch(stdout.String())[1]
	commands, getenv := pasted(t, stdout.String())
	if err := carryOut(t, newClient(getenv), commands[0]); err != nil {
		t.Fatal(err)
	}
	must := func(method, path string, status int, contains string) string {
		t.Helper()
		got, text := ask(t, method, control+path)
		if got != status || !strings.Contains(text, contains) {
			t.Errorf("%s %s: %d, %s", method, path, got, text)
		}
		return text
	}
	for i, f := range sandbox.Faults {
		must("GET", "/", 200, fmt.Sprintf("%d  %s", i+1, f.Name))
		must("POST", "/faults/"+f.Name, 200, f.Watch)
		if f.Once {
			must("DELETE", "/faults/"+f.Name, 404, "cannot be switched off")
			continue
		}
		must("GET", "/", 200, fmt.Sprintf("on %d  %s", i+1, f.Name))
		must("DELETE", "/faults/"+f.Name, 200, "off")
		if strings.Contains(must("GET", "/", 200, ""), "on "+fmt.Sprint(i+1)) {
			t.Errorf("%s is still on", f.Name)
		}
	}
	must("POST", "/faults/rain", 404, `no fault "rain"`)
	must("GET", "/tokens", 200, "token-1  dead ") // by token-dies
	must("DELETE", "/tokens/standby", 200, "token-2")
	token := must("POST", "/tokens", 200, "")
	if strings.Contains(stdout.String(), token) {
		t.Error("the terminal shows the token")
	}
	must("GET", "/tokens", 200, "token-2  dead ")
	must("DELETE", "/tokens/token-4", 200, "token-4")
	must("DELETE", "/tokens/token-9", 404, "no token token-9")
}
