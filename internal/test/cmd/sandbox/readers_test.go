//go:build verify

package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// These tests have Panther's own clients, in the versions that "make verify"
// installs, read with the token of the sandbox: panther_analysis_tool
// (PANTHER_ANALYSIS_TOOL is its path) and mcp-panther (MCP_PANTHER).

func TestPantherAnalysisToolConnects(t *testing.T) {
	whileRotating(t, func(t *testing.T, api, token string) (works bool, said string) {
		check := client(t, "PANTHER_ANALYSIS_TOOL", "PANTHER_API_HOST="+api, "PANTHER_API_TOKEN="+token)
		check.Args = append(check.Args, "check-connection")
		output, err := check.CombinedOutput()
		return err == nil && bytes.Contains(output, []byte("connection successful")), string(output)
	})
}

func TestMCPPantherOpensASession(t *testing.T) {
	whileRotating(t, func(t *testing.T, api, token string) (works bool, said string) {
		server := client(t, "MCP_PANTHER", "PANTHER_INSTANCE_URL="+api, "PANTHER_API_TOKEN="+token)
		var stderr bytes.Buffer
		server.Stderr = &stderr
		in, err := server.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := server.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		// It reads the schema by GraphQL before it answers the handshake; its
		// tool get_permissions asks REST.
		_, _ = io.WriteString(in, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"verify","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"get_permissions","arguments":{}}}
`)
		initialized, asked := false, false
		for lines := bufio.NewScanner(out); !asked && lines.Scan(); {
			initialized = initialized || strings.Contains(lines.Text(), `"id":1,"result"`)
			asked = strings.Contains(lines.Text(), `"id":2,`) && strings.Contains(lines.Text(), `"success":true`)
		}
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		_ = server.Wait() // whether it worked is known
		return initialized && asked, stderr.String()
	})
}

// client is a client of Panther with no settings but these.
func client(t *testing.T, path string, settings ...string) *exec.Cmd {
	t.Helper()
	if os.Getenv(path) == "" {
		t.Fatalf("%s has to be the path of the program, as \"make verify\" sets it", path)
	}
	command := exec.CommandContext(t.Context(), os.Getenv(path))
	command.Dir = t.TempDir()
	command.Env = append(settings, "PATH="+os.Getenv("PATH"), "HOME="+command.Dir, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	return command
}

// whileRotating has a client connect with AWSCURRENT's token before and after a
// rotation, and with the dead one.
func whileRotating(t *testing.T, connect func(t *testing.T, api, token string) (works bool, said string)) {
	const secret = "acme/panther-scheduled" // with one token, so that the one before is dead afterwards
	p := startProgram(t, "-speed", "1", "-propagation", "0")
	api := regexp.MustCompile(`Panther is at (\S+)`).FindStringSubmatch(p.stdout.String())[1]
	var created, rotated versionAnswer
	p.aws.answers(t, &created, versionMembers, p.printed["create-secret scheduled"]...)
	before, _ := p.aws.token(t, secret)
	if works, said := connect(t, api, before); !works {
		t.Fatalf("refused before the rotation:\n%s", said)
	}
	p.aws.answers(t, &rotated, versionMembers, p.printed["rotate-secret scheduled"]...)
	p.aws.awaitCurrent(t, secret, rotated.VersionId)
	after, _ := p.aws.token(t, secret)
	if works, said := connect(t, api, after); !works || after == before {
		t.Errorf("refused after the rotation:\n%s", said)
	}
	if works, said := connect(t, api, before); works || !strings.Contains(said, "401") {
		t.Errorf("the dead token was not refused with 401:\n%s", said)
	}
}
