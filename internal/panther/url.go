package panther

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
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
	case !isAddress(host) && !isHostName(host):
		return nil, ErrMalformed
	case !isAddress(host) && !isDomain(host) && host != "localhost":
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
	if isAddress(host) {
		return false
	}
	if strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn") {
		return false
	}
	return strings.Contains(host, ".") && !strings.HasPrefix(host, "api.")
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// isHostName reports whether the labels of host are as long as a name server
// takes them, and have letters, digits and hyphens alone
// (https://www.rfc-editor.org/rfc/rfc1123#section-2). Letters of all scripts
// count: net/http encodes them.
func isHostName(host string) bool {
	const longest, longestLabel = 253, 63
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || len(label) > longestLabel || strings.ContainsFunc(label, isNoNameRune) {
			return false
		}
	}
	return len(host) <= longest
}

func isNoNameRune(r rune) bool { return r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// isDomain reports whether host is more than one label, of which the last is a
// top-level domain: letters alone, or xn-- (RFC 1123, section 2.1).
func isDomain(host string) bool {
	host = strings.TrimSuffix(host, ".")
	i := strings.LastIndex(host, ".")
	top := host[i+1:]
	return i > 0 && (strings.HasPrefix(top, "xn--") || !strings.ContainsAny(top, "0123456789-"))
}

func isPort(s string) bool {
	port, err := strconv.ParseUint(s, 10, 16)
	return err == nil && port > 0
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
