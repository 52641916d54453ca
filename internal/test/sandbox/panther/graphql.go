package panther

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/graph-gophers/graphql-go"
	gqlerrors "github.com/graph-gophers/graphql-go/errors"
)

//go:embed schema.graphql
var sdl string

var schema = graphql.MustParseSchema(sdl, &resolver{},
	graphql.UseStringDescriptions(), graphql.UseFieldResolvers())

// run is one execution of a request by the engine.
type run struct {
	request *request
	// rehearsal makes the run one without effect.
	rehearsal bool
	rotates   bool
	// asksForData is set where more than the schema was asked for, with success.
	asksForData bool
}

type runKey struct{}

// operation finds out what the request asks for by rehearsing it: only the
// engine knows what fragments, directives and operationName make of it.
func (q *request) operation() Operation {
	rehearsal := &run{request: q, rehearsal: true}
	reply, ok := rehearsal.execute()
	switch {
	case rehearsal.rotates:
		return RotateAPIToken
	case ok && len(reply.Errors) == 0 && !rehearsal.asksForData:
		return Introspection
	}
	return Other
}

// execute runs the request. It reports false if the body is not the JSON of a
// GraphQL request.
func (r *run) execute() (*graphql.Response, bool) {
	var body struct {
		Query         string         `json:"query"`
		OperationName string         `json:"operationName"`
		Variables     map[string]any `json:"variables"`
	}
	if err := json.Unmarshal(r.request.body, &body); err != nil {
		return nil, false
	}
	if hasEmptyParentheses(body.Query) {
		return &graphql.Response{Errors: []*gqlerrors.QueryError{{
			Message: "syntax error: unexpected \")\", expecting a name",
			Err:     gqlerrors.ErrSyntax,
		}}}, true
	}
	// Not the context of the HTTP request: a caller that leaves does not undo
	// what arrived.
	ctx := context.WithValue(context.Background(), runKey{}, r)
	return schema.Exec(ctx, body.Query, body.OperationName, body.Variables), true
}

var (
	stringsAndComments = regexp.MustCompile(`"(?:\\.|[^"\\\n\r])*"|#[^\n\r]*`)
	emptyParentheses   = regexp.MustCompile(`\([\s,]*\)`)
)

// hasEmptyParentheses finds what the engine lets through although the language
// has no such thing (https://spec.graphql.org/October2021/#Arguments). Panther's
// documentation shows the rotation with them, so people will try. Block strings
// are not looked out for: the engine takes none.
func hasEmptyParentheses(query string) bool {
	code := stringsAndComments.ReplaceAllStringFunc(query, func(s string) string {
		if s[0] == '#' {
			return ""
		}
		return `""`
	})
	return emptyParentheses.MatchString(code)
}

// executed turns the engine's reply into an answer. The engine leaves data out
// if nothing was executed; such a request gets 400, as from Apollo Server
// (https://www.apollographql.com/docs/apollo-server/data/errors). Others say 200
// there: Fault's ErrorsOnly is close to that.
func (q *request) executed(reply *graphql.Response) answer {
	status := http.StatusOK
	if reply.Data == nil {
		status = http.StatusBadRequest
	}
	for _, e := range reply.Errors {
		if reply.Data == nil {
			e.Extensions = map[string]any{"code": requestErrorCode(e)}
		}
		e.Message = q.message(e.Message)
	}
	return jsonAnswer(status, reply)
}

// requestErrorCode is the code that Apollo Server gives to an error
// (https://www.apollographql.com/docs/apollo-server/data/errors).
func requestErrorCode(e *gqlerrors.QueryError) string {
	switch {
	case errors.Is(e, gqlerrors.ErrSyntax):
		return "GRAPHQL_PARSE_FAILED"
	case e.Rule != "":
		return "GRAPHQL_VALIDATION_FAILED"
	}
	return "OPERATION_RESOLUTION_FAILURE"
}

// resolver is the root of the schema.
type resolver struct{}

type rotateAPITokenOutput struct {
	Token *apiTokenObject
}

type apiTokenObject struct {
	ID                graphql.ID
	Name              string
	Value             *string
	ExpiresAt         *dateTime
	RotatedAt         *dateTime
	CreatedAt         dateTime
	Permissions       []string
	AllowedCIDRBlocks []string
}

type userObject struct {
	ID    graphql.ID
	Email email
}

func (*resolver) RotateAPIToken(ctx context.Context) (*rotateAPITokenOutput, error) {
	r := ctx.Value(runKey{}).(*run)
	r.rotates = true
	if r.rehearsal {
		return &rotateAPITokenOutput{}, nil
	}
	token, value, err := r.request.api.rotate(r.request.token)
	if err != nil {
		return nil, err
	}
	r.request.issued = value
	return &rotateAPITokenOutput{Token: &apiTokenObject{
		ID:        graphql.ID(token.id),
		Name:      token.name,
		Value:     &value,
		RotatedAt: &dateTime{token.rotatedAt},
		CreatedAt: dateTime{token.createdAt},
	}}, nil
}

// pantherVersion is what panther_analysis_tool's check-connection shows.
const pantherVersion = "sandbox"

type generalSettings struct{ PantherVersion *string }

func (*resolver) GeneralSettings(ctx context.Context) generalSettings {
	ctx.Value(runKey{}).(*run).asksForData = true
	version := pantherVersion
	return generalSettings{&version}
}

// errForbidden is how Panther's GraphQL API answers a living token that lacks a
// permission: an error with status 200.
var errForbidden = errors.New("forbidden")

func (*resolver) Users() ([]userObject, error) {
	return nil, errForbidden
}

// dateTime is the scalar DateTime.
type dateTime struct{ time.Time }

func (dateTime) ImplementsGraphQLType(name string) bool { return name == "DateTime" }

// UnmarshalGraphQL is there because the engine asks it of every scalar. No
// field of the schema takes a DateTime.
func (*dateTime) UnmarshalGraphQL(any) error {
	return errors.New("a DateTime is no input")
}

// email is the scalar Email.
type email string

func (email) ImplementsGraphQLType(name string) bool { return name == "Email" }

// UnmarshalGraphQL is there for the same reason.
func (*email) UnmarshalGraphQL(any) error {
	return errors.New("an Email is no input")
}
