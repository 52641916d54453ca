package panther

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewTokenWorksAfterPropagation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := New(Options{PropagationDelay: 45 * time.Second})
		old := api.NewToken("deploy")
		wantStatus(t, api, old, Living)
		fresh := rotate(t, api, old)

		wantStatus(t, api, old, Dead)
		wantStatus(t, api, fresh, Propagating)
		time.Sleep(45*time.Second - time.Nanosecond)
		wantStatus(t, api, fresh, Propagating)
		time.Sleep(time.Nanosecond)
		wantStatus(t, api, fresh, Living)

		if got := call(t, api, rotate(t, api, fresh), rotation); got.Code != http.StatusUnauthorized {
			t.Errorf("a token too young rotated: status %d", got.Code)
		}
	})
}

func TestRevokedTokenNeverPropagates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := New(Options{PropagationDelay: time.Minute})
		fresh := rotate(t, api, api.NewToken("deploy"))
		api.Revoke(fresh)
		wantStatus(t, api, fresh, Dead)
		time.Sleep(time.Hour)
		wantStatus(t, api, fresh, Dead)
	})
}

func TestOldTokenHasItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := New(Options{OldTokenGrace: time.Minute})
		old := api.NewToken("deploy")
		fresh := rotate(t, api, old)

		time.Sleep(time.Minute - time.Nanosecond)
		wantStatus(t, api, old, Living)
		wantStatus(t, api, fresh, Living)
		time.Sleep(time.Nanosecond)
		wantStatus(t, api, old, Dead)
		wantStatus(t, api, fresh, Living)
	})
}

func TestRotatingAgainInTheGraceEndsTheFirstSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := New(Options{PropagationDelay: 10 * time.Second, OldTokenGrace: time.Minute})
		old := api.NewToken("deploy")
		first := rotate(t, api, old)
		time.Sleep(30 * time.Second)
		wantStatus(t, api, first, Living)
		second := rotate(t, api, old)

		wantStatus(t, api, first, Dead)
		wantStatus(t, api, second, Propagating)
		wantStatus(t, api, old, Living)
		time.Sleep(30 * time.Second)
		wantStatus(t, api, second, Living)
		wantStatus(t, api, old, Dead) // the grace counts from the first rotation
	})
}

func TestForbidsInsteadOf401(t *testing.T) {
	api := New(Options{ForbiddenInsteadOf401: true})
	got := call(t, api, "made-up", introspection)
	if got.Code != http.StatusForbidden || got.Body.String() != `{"message":"Forbidden"}`+"\n" {
		t.Errorf("status %d, body %s", got.Code, got.Body)
	}
	if got := call(t, api, api.NewToken("deploy"), introspection); got.Code != http.StatusOK {
		t.Errorf("a living token: status %d", got.Code)
	}
}

func TestThrottlesEveryNthRequest(t *testing.T) {
	api := New(Options{Throttle: 3})
	token := api.NewToken("deploy")
	for i, want := range []int{200, 200, 429, 200, 200, 429} {
		got := call(t, api, token, introspection)
		if got.Code != want {
			t.Errorf("request %d: status %d, want %d", i+1, got.Code, want)
		}
		if want == 429 && got.Header().Get("Retry-After") != "1" {
			t.Errorf("request %d: Retry-After %q", i+1, got.Header().Get("Retry-After"))
		}
	}

	all := New(Options{Throttle: 1})
	token = all.NewToken("deploy")
	if got := call(t, all, token, rotation); got.Code != http.StatusTooManyRequests || all.Status(token) != Living {
		t.Errorf("status %d, token %s; a throttled rotation must not happen", got.Code, all.Status(token))
	}
}

func TestEchoesTheTokenInErrorsOnly(t *testing.T) {
	const dead = "a-token-that-never-was"
	for _, echo := range []bool{false, true} {
		throttling := New(Options{EchoToken: echo, Throttle: 1})
		forbidding := New(Options{EchoToken: echo, ForbiddenInsteadOf401: true})
		var fault *Fault
		api := New(Options{EchoToken: echo, Fault: func(Request) *Fault { return fault }})
		living := api.NewToken("deploy")

		for _, test := range []struct {
			name  string
			api   *API
			token string
			query string
			fault *Fault
		}{
			{"401", api, dead, rotation, nil},
			{"403", forbidding, dead, rotation, nil},
			{"429", throttling, dead, rotation, nil},
			{"syntax", api, living, "rotate!", nil},
			{"validation", api, living, "{ nothing }", nil},
			{"no query", api, living, "", nil},
			{"permission", api, living, "{ users { id } }", nil},
			{"page", api, living, introspection, &Fault{Kind: WebPage}},
			{"not GraphQL", api, living, introspection, &Fault{Kind: NotGraphQL}},
			{"errors only", api, living, introspection, &Fault{Kind: ErrorsOnly}},
			{"errors with data", api, living, introspection, &Fault{Kind: ErrorsBesideData}},
		} {
			fault = test.fault
			got := call(t, test.api, test.token, test.query)
			if strings.Contains(got.Body.String(), test.token) != echo {
				t.Errorf("EchoToken %t, %s: body %s", echo, test.name, got.Body)
			}
		}

		fault = nil
		if got := call(t, api, living, rotation); strings.Contains(got.Body.String(), living) {
			t.Errorf("EchoToken %t: an answer without errors echoes: %s", echo, got.Body)
		}
	}
}
