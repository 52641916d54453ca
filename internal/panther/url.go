package panther

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// What can be wrong with a PANTHER_API_URL. The errors do not quote it: people
// paste tokens into the wrong field.
var (
	ErrNoHost     = errors.New("it has no host name; the Panther console shows the API URL under Settings > API Tokens")
	ErrMalformed  = errors.New("it is not a URL")
	ErrNoDomain   = errors.New("its host is not a full domain name, such as api.acme.runpanther.net")
	ErrNotHTTPS   = errors.New("it must begin with https:// (plain http is for a loopback host only)")
	ErrConsole    = errors.New("its path is the console's, /internal/graphql, where no API token works; use /public/graphql")
	ErrNotGraphQL = errors.New("its path does not end in /graphql; append /public/graphql to a REST base such as /v1, or leave the path out")
	ErrExtraParts = errors.New("it must not hold a user name, a query or a fragment")
)

// ParseURL turns any form in which people have their Panther address at hand
// into the URL of its GraphQL API: the API URL, with or without its path, the
// console's address, or the bare domain. Panther's API lives on the host api.
// in front of the console's domain, at /public/graphql
// (https://docs.panther.com/panther-developer-workflows/api/graphql). A path
// that ends in /graphql is used as given, without a slash at its end, and the
// host with it. Any other path is refused.
func ParseURL(s string) (*url.URL, error) {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, ErrMalformed
	}
	host := strings.ToLower(u.Hostname())
	switch {
	case u.Port() != "" && !isPort(u.Port()):
		return nil, ErrMalformed
	case host == "":
		return nil, ErrNoHost
	case strings.ContainsAny(host, " _/\\"):
		return nil, ErrMalformed
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		// A pasted token would otherwise pass for a host name, and be sent
		// to a name server.
		return nil, ErrNoDomain
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(host)):
		return nil, ErrNotHTTPS
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, ErrExtraParts
	}
	switch path := strings.TrimSuffix(u.EscapedPath(), "/"); {
	case path == "":
	case strings.HasSuffix(path, "/internal/graphql"):
		return nil, ErrConsole
	case strings.HasSuffix(path, "/graphql"):
		u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(u.RawPath, "/")
		return u, nil
	default:
		return nil, ErrNotGraphQL
	}
	u.Path = "/public/graphql"
	if hasAPISubdomain(host) {
		u.Host = "api." + u.Host
	}
	return u, nil
}

// hasAPISubdomain reports whether host is the domain of a console, to which
// its API is a subdomain. An address, localhost and an API Gateway of a
// self-hosted Panther are not.
func hasAPISubdomain(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	if strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn") {
		return false
	}
	return strings.Contains(host, ".") && !strings.HasPrefix(host, "api.")
}

func isPort(s string) bool {
	port, err := strconv.ParseUint(s, 10, 16)
	return err == nil && port > 0
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
