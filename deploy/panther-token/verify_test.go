//go:build verify

package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox"
	pantherapi "panther-token-rotation/internal/test/sandbox/panther"
)

// TestOnMoto runs what needs no function against an implementation of Secrets
// Manager that is not ours.
func TestOnMoto(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	_, port, _ := net.SplitHostPort(address)
	moto := exec.CommandContext(t.Context(), "moto_server", "-H", "127.0.0.1", "-p", port)
	if err := moto.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = moto.Wait() })
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		answer, err := http.Get("http://" + address + "/moto-api/")
		if err == nil {
			answer.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	api := pantherapi.New(pantherapi.Options{})
	server := httptest.NewServer(api)
	defer server.Close()

	d := &desk{t: t, Sandbox: &sandbox.Sandbox{Region: "eu-west-1", SecretsManagerURL: "http://" + address, Panther: api}}
	d.client = secretsmanager.NewFromConfig(d.aws())
	url := server.URL + pantherapi.Path
	d.want(0, api.NewToken("first")+"\n", "Created arn:", "init", name, "--url", url)
	d.want(1, api.NewToken("x")+"\n", "exists already", "init", name, "--url", url)
	d.want(0, api.NewToken("second")+"\n", "is stored and works", "put", name, "--standby", "--url", url)
	d.want(0, api.NewToken("third")+"\n", `still works ("first", id token-1)`, "put", name, "--url", url)
	said := d.want(1, "", "rotation was never set up", "status", name, "--url", url)
	if strings.Count(said.stdout, "works") < 3 || api.Status(d.token(active)) != pantherapi.Living {
		t.Error("status does not show the tokens")
	}
	d.sweep()
}

// TestNotStoredIsSolved takes as long as the function retries.
func TestNotStoredIsSolved(t *testing.T) {
	d := open(t, 1, func(o *sandbox.Options) { o.Timeout = 38 * time.Second })
	d.on("write-fails")
	d.want(1, "", "failed with NotStored", "rotate", name)
	d.off("write-fails")
	d.idle()
	if got := d.solve(); !slices.Equal(got, []string{"rotate"}) {
		t.Errorf("it took %q", got)
	}
	if rotated := d.Panther.Status(d.token(active)); rotated != pantherapi.Living {
		t.Errorf("the active token is %s", rotated)
	}
}
