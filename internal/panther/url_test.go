package panther

import (
	"errors"
	"strings"
	"testing"
)

func TestParseURLTakesEveryFormPeopleHave(t *testing.T) {
	for given, want := range map[string]string{
		// As the console shows it, as users of other tools have it.
		"https://api.acme.runpanther.net/public/graphql": "https://api.acme.runpanther.net/public/graphql",
		"https://api.acme.runpanther.net":                "https://api.acme.runpanther.net/public/graphql",
		"https://api.acme.runpanther.net/":               "https://api.acme.runpanther.net/public/graphql",
		"https://acme.runpanther.net":                    "https://api.acme.runpanther.net/public/graphql",
		"https://acme.runpanther.net/":                   "https://api.acme.runpanther.net/public/graphql",
		"acme.runpanther.net":                            "https://api.acme.runpanther.net/public/graphql",
		"api.acme.runpanther.net":                        "https://api.acme.runpanther.net/public/graphql",
		"api.acme.runpanther.net/public/graphql":         "https://api.acme.runpanther.net/public/graphql",
		" acme.runpanther.net\n":                         "https://api.acme.runpanther.net/public/graphql",
		"HTTPS://acme.runpanther.net":                    "https://api.acme.runpanther.net/public/graphql",
		"https://API.acme.runpanther.net":                "https://API.acme.runpanther.net/public/graphql",
		"https://acme.runpanther.net:8443":               "https://api.acme.runpanther.net:8443/public/graphql",
		"https://panther.example.org":                    "https://api.panther.example.org/public/graphql",
		"https://api.panther.example.org.":               "https://api.panther.example.org./public/graphql",
		"https://api.pänther.example":                    "https://api.p%C3%A4nther.example/public/graphql",
		"https://api.panther.xn--p1ai":                   "https://api.panther.xn--p1ai/public/graphql",

		// Gateways and proxies of one's own.
		"https://vpce-0a1b2c3d-x1y2z3.execute-api.eu-west-1.vpce.amazonaws.com/v1/public/graphql": "https://vpce-0a1b2c3d-x1y2z3.execute-api.eu-west-1.vpce.amazonaws.com/v1/public/graphql",
		"https://egress.dc1.corp:3128/graphql":                                                    "https://egress.dc1.corp:3128/graphql",

		// A path that is given is used as given, and its host with it.
		"https://abc123.execute-api.eu-west-1.amazonaws.com/v1/public/graphql":  "https://abc123.execute-api.eu-west-1.amazonaws.com/v1/public/graphql",
		"https://acme.runpanther.net/public/graphql":                            "https://acme.runpanther.net/public/graphql",
		"https://api.acme.runpanther.net/public/graphql/":                       "https://api.acme.runpanther.net/public/graphql",
		"https://abc123.execute-api.eu-west-1.amazonaws.com/v1/public/graphql/": "https://abc123.execute-api.eu-west-1.amazonaws.com/v1/public/graphql",
		"https://egress.example.org/graphql":                                    "https://egress.example.org/graphql",
		"https://egress.example.org/a%2Fb/graphql/":                             "https://egress.example.org/a%2Fb/graphql",

		// No console stands behind these hosts.
		"https://abc123.execute-api.eu-west-1.amazonaws.com":     "https://abc123.execute-api.eu-west-1.amazonaws.com/public/graphql",
		"https://abc123.execute-api.cn-north-1.amazonaws.com.cn": "https://abc123.execute-api.cn-north-1.amazonaws.com.cn/public/graphql",
		"https://192.0.2.7":                "https://192.0.2.7/public/graphql",
		"https://[2001:db8::7]:8443":       "https://[2001:db8::7]:8443/public/graphql",
		"https://localhost:8443":           "https://localhost:8443/public/graphql",
		"http://localhost:8080":            "http://localhost:8080/public/graphql",
		"http://LOCALHOST:8080":            "http://LOCALHOST:8080/public/graphql",
		"http://127.0.0.1:8080/v1/graphql": "http://127.0.0.1:8080/v1/graphql",
		"http://127.8.8.8:8080":            "http://127.8.8.8:8080/public/graphql",
		"http://[::1]:8080":                "http://[::1]:8080/public/graphql",
	} {
		t.Run(given, func(t *testing.T) {
			u, err := ParseURL(given)
			if err != nil {
				t.Fatal(err)
			}
			if got := u.String(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			again, err := ParseURL(u.String())
			if err != nil || again.String() != want {
				t.Errorf("its result became %v (%v) when read again", again, err)
			}
		})
	}
}

func TestParseURLRefusesWithoutEchoing(t *testing.T) {
	for given, want := range map[string]error{
		"":                                          ErrNoHost,
		"  ":                                        ErrNoHost,
		"https://":                                  ErrNoHost,
		"https:///public/graphql":                   ErrNoHost,
		"http://acme.runpanther.net":                ErrNotHTTPS,
		"http://192.0.2.7":                          ErrNotHTTPS,
		"http://0.0.0.0":                            ErrNotHTTPS,
		"http://127.0.0.1.example.org":              ErrNotHTTPS,
		"http://localhost.example.org":              ErrNotHTTPS,
		"http://[2001:db8::1]":                      ErrNotHTTPS,
		"ftp://acme.runpanther.net":                 ErrNotHTTPS,
		"wss://localhost":                           ErrNotHTTPS,
		"https:acme.runpanther.net":                 ErrMalformed,
		"https://acme runpanther.net":               ErrMalformed,
		"https://acme_x.runpanther.net":             ErrMalformed,
		"https://acme.runpanther.net:port":          ErrMalformed,
		"https://acme.runpanther.net:0":             ErrMalformed,
		"https://acme.runpanther.net:99999":         ErrMalformed,
		"https://%zz.runpanther.net":                ErrMalformed,
		"https://acme.runpanther.net\x00":           ErrMalformed,
		"https://pAsTeD01tOkEn@acme.example":        ErrExtraParts,
		"https://acme.example/?pAsTeD01tOkEn":       ErrExtraParts,
		"https://acme.example/?":                    ErrExtraParts,
		"https://acme.example/graphql#pAsTeD01tOkE": ErrExtraParts,
		"pAsTeD01tOkEn":                             ErrNoDomain,
		"https://pAsTeD01tOkEn":                     ErrNoDomain,
		"pAsTeD01_tOkEn":                            ErrMalformed,

		// A token with dots. No top-level domain has a digit.
		"pAsTeD01.tOkEn1":                                        ErrNoDomain,
		"https://pAsTeD01.tOkEn.9kQ/graphql":                     ErrNoDomain,
		"eyJhbGciOi.pAsTeD01" + strings.Repeat("x", 64) + ".sig": ErrMalformed,
		"pAsTeD01+tOkEn.abc":                                     ErrMalformed,
		"pAsTeD01..tOkEn":                                        ErrMalformed,
		"pAsTeD01.tOkEn=":                                        ErrMalformed,
		strings.Repeat("pAsTeD01.", 29) + "com":                  ErrMalformed,

		// The console's own path takes no API token.
		"https://acme.runpanther.net/internal/graphql":                           ErrConsole,
		"https://acme.runpanther.net/internal/graphql/":                          ErrConsole,
		"https://abc123.execute-api.eu-west-1.amazonaws.com/v1/internal/graphql": ErrConsole,

		// A REST base, a page of the console, or a path that is not complete.
		"https://abc123.execute-api.eu-west-1.amazonaws.com/v1":  ErrNotGraphQL,
		"https://abc123.execute-api.eu-west-1.amazonaws.com/v1/": ErrNotGraphQL,
		"https://api.acme.runpanther.net/public":                 ErrNotGraphQL,
		"https://acme.runpanther.net/settings/api-tokens":        ErrNotGraphQL,
		"https://api.acme.runpanther.net/public/graphql//":       ErrNotGraphQL,
		"https://api.acme.runpanther.net/public%2Fgraphql":       ErrNotGraphQL,
		"https://api.acme.runpanther.net/notgraphql":             ErrNotGraphQL,
		"https://api.acme.runpanther.net/pAsTeD01tOkEn":          ErrNotGraphQL,
	} {
		t.Run(given, func(t *testing.T) {
			u, err := ParseURL(given)
			if !errors.Is(err, want) {
				t.Fatalf("got %v (%v), want %v", err, u, want)
			}
			if strings.Contains(strings.ToLower(err.Error()), "pasted01") {
				t.Errorf("the error echoes what was given: %v", err)
			}
		})
	}
}
