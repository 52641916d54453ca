package panther

import (
	"bytes"
	"encoding/json"
	"html"
	"net"
	"net/http"
	"strconv"
)

// Fault is a way in which one request goes wrong. A fault strikes before
// anything else, so that nothing happens, or with AfterEffect after the request
// was carried out, so that a token may have been rotated.
type Fault struct {
	Kind FaultKind
	// AfterEffect carries the request out first, as far as the API lets it. The
	// kinds that need the genuine answer do so in any case, and leave an answer
	// other than 200, such as 401, as it is.
	AfterEffect bool
	// Status of the answer, where the kind has one of its own; 0 is the status
	// the kind names.
	Status int
	// URL is where a Redirect leads.
	URL string
}

// FaultKind is what the caller gets to see.
type FaultKind string

const (
	// WebPage: an HTML page with Status (502), as load balancers and gateways
	// send one.
	WebPage FaultKind = "web page"
	// Hang: no answer until the caller gives up.
	Hang FaultKind = "hang"
	// Reset: the connection is reset; where there is none to reset, over HTTP/2
	// or without a server, the handler aborts.
	Reset FaultKind = "reset"
	// Redirect: Status (307) with the header Location: URL.
	Redirect FaultKind = "redirect"
	// NotGraphQL: JSON of another kind, {"message": …}, with Status (200). With
	// 500 or 504 it is what API Gateway says of a backend that failed, with 403
	// what it says to an address that is not on its list.
	NotGraphQL FaultKind = "not GraphQL"
	// ErrorsOnly: GraphQL errors and no data, with Status (200).
	ErrorsOnly FaultKind = "errors only"
	// NullToken: data with a null for the token, with Status (200), which the
	// schema allows.
	NullToken FaultKind = "null token"

	// ErrorsBesideData: the genuine answer with errors added.
	ErrorsBesideData FaultKind = "errors with data"
	// OtherStatus: the genuine answer with Status (202).
	OtherStatus FaultKind = "other status"
	// CutInToken: the genuine answer, cut off in the middle of the new token;
	// in its own middle if there is none.
	CutInToken FaultKind = "cut in token"
	// CutBehindToken: the genuine answer, cut off just behind the new token and
	// its quotation mark.
	CutBehindToken FaultKind = "cut behind token"
)

// failure is the error text of all faults.
const failure = "something went wrong"

// hasEffect reports whether the request is carried out first.
func (f *Fault) hasEffect() bool {
	switch f.Kind {
	case ErrorsBesideData, OtherStatus, CutInToken, CutBehindToken:
		return true
	}
	return f.AfterEffect
}

// spoil makes the faulty answer. Of the genuine one there is none if the fault
// strikes before the effect. For Hang and Reset the answer is empty.
func (f *Fault) spoil(genuine answer, q *request) answer {
	message := q.message(failure)
	switch f.Kind {
	case Hang, Reset:
		return answer{}
	case WebPage:
		page := "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>" + html.EscapeString(message) + "</h1></body></html>\n"
		return answer{
			status: f.status(http.StatusBadGateway),
			header: map[string]string{"Content-Type": "text/html; charset=utf-8"},
			body:   []byte(page),
			length: len(page),
		}
	case Redirect:
		return answer{
			status: f.status(http.StatusTemporaryRedirect),
			header: map[string]string{"Location": f.URL},
		}
	case NotGraphQL:
		return plainError(f.status(http.StatusOK), message)
	case ErrorsOnly:
		return jsonAnswer(f.status(http.StatusOK), map[string]any{"data": nil, "errors": errorList(message, "INTERNAL_SERVER_ERROR")})
	case NullToken:
		return jsonAnswer(f.status(http.StatusOK), json.RawMessage(`{"data":{"rotateAPIToken":{"token":null}}}`))
	}

	if genuine.status != http.StatusOK {
		return genuine
	}
	switch f.Kind {
	case OtherStatus:
		genuine.status = f.status(http.StatusAccepted)
		return genuine
	case ErrorsBesideData:
		var reply map[string]any
		if err := json.Unmarshal(genuine.body, &reply); err != nil {
			panic(err)
		}
		reply["errors"] = errorList(message, "INTERNAL_SERVER_ERROR")
		return jsonAnswer(http.StatusOK, reply)
	case CutInToken, CutBehindToken:
		genuine.body = genuine.body[:q.cut(genuine.body, f.Kind)]
		return genuine
	}
	panic("panther sandbox: no fault of kind " + strconv.Quote(string(f.Kind)))
}

func (f *Fault) status(otherwise int) int {
	if f.Status != 0 {
		return f.Status
	}
	return otherwise
}

// cut says how much of a body arrives.
func (q *request) cut(body []byte, kind FaultKind) int {
	at := bytes.Index(body, []byte(q.issued))
	switch {
	case q.issued == "" || at < 0:
		return len(body) / 2
	case kind == CutInToken:
		return at + len(q.issued)/2
	}
	return at + len(q.issued) + len(`"`)
}

// resetConnection closes the connection so that the caller gets a TCP reset
// instead of an orderly end.
func resetConnection(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	transport := conn
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		transport = secured.NetConn()
	}
	if tcp, ok := transport.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = transport.Close()
}
