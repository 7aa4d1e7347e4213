package web

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"

	"ronde/session"
)

// request is what an operation gets to see: who asks, the parameters of path
// and query, the strictly decoded body and, of a creation that is to happen at
// most once, by what it is told.
type request[P, B any] struct {
	Principal *session.Principal
	Params    P
	Body      B
	Once      *session.Once
	// Access is the row that the request leaves in the access log. The handler of
	// a read may add what the path does not say; whoever changes a mission hands
	// on Why.
	Access session.Access

	recorded bool
}

// none stands for no parameters, or no body.
type none struct{}

// empty is the body of an operation that has nothing to say: absent, or {}.
type empty struct{}

// optional lets the body be absent.
func (empty) optional() {}

// reply is what huma writes.
type reply[O any] struct{ Body answer[O] }

type inputKey struct{}

// input is what of a request huma does not read.
type input[B any] struct {
	body   B
	once   *session.Once
	access session.Access
}

// operation binds a handler of the API: it documents it with huma, decodes what
// comes in, has the access log know and encodes what goes out. Huma reads no body
// itself, because its own reader echoes what it could not read.
func operation[P, B, O any](handle func(*Server, context.Context, *request[P, B]) (*O, error)) binder {
	return func(b *builder, r *Route) {
		s := b.server
		op := huma.Operation{
			OperationID: r.Name, Method: r.Method, Path: r.Path, Summary: r.Summary,
			DefaultStatus: r.status(),
			Middlewares: huma.Middlewares{func(hc huma.Context, next func(huma.Context)) {
				req, w := humago.Unwrap(hc)
				req.Header.Del("Accept") // there is one form, whatever is asked for
				in, err := readInput[B](s, r, w, req)
				if err == nil {
					err = checkQuery(req.URL.RawQuery, hc.Operation())
				}
				if err != nil {
					s.fail(w, req, err)
					return
				}
				next(huma.WithValue(hc, inputKey{}, in))
			}},
		}
		if r.creates() {
			op.Parameters = []*huma.Param{idempotencyKey}
		}
		huma.Register(b.api, op, func(ctx context.Context, params *P) (*reply[O], error) {
			principal, err := session.PrincipalOf(ctx)
			if err != nil {
				return nil, s.problem(ctx, err)
			}
			in := ctx.Value(inputKey{}).(*input[B])
			req := &request[P, B]{Principal: principal, Params: *params, Body: in.body, Once: in.once, Access: in.access}
			out, err := carryOut(ctx, s, r, req, handle)
			if err != nil {
				return nil, s.problem(ctx, err)
			}
			return &reply[O]{Body: out}, nil
		})
		b.records[r.Pattern()] = true
		describeBody[B](b.api, r)
	}
}

// carryOut has a request answered, and returns the answer once the access log
// has it.
func carryOut[P, B, O any](ctx context.Context, s *Server, r *Route, req *request[P, B], handle func(*Server, context.Context, *request[P, B]) (*O, error)) (answer[O], error) {
	if r.Access.By == EdgeFirst {
		if err := req.record(ctx, s); err != nil {
			return answer[O]{}, err
		}
	}
	out, err := once(ctx, s, req.Once, func() (*O, error) { return handle(s, ctx, req) })
	if err == nil {
		err = req.record(ctx, s) // also what a creation was answered earlier, given again
	}
	return out, err
}

// readInput reads of a request what huma does not.
func readInput[B any](s *Server, r *Route, w http.ResponseWriter, req *http.Request) (*input[B], error) {
	in := new(input[B])
	text, err := readBody(w, req, &in.body)
	if err == nil {
		in.access, err = s.accessOf(r, req)
	}
	if err == nil && r.creates() {
		in.once, err = s.onceOf(req, text)
	}
	return in, err
}

// describeBody documents the request body, which huma does not know of.
func describeBody[B any](api huma.API, r *Route) {
	if reflect.TypeFor[B]() == reflect.TypeFor[none]() {
		return
	}
	_, optional := any(*new(B)).(interface{ optional() })
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[B](), true, r.Name+"Request")
	operationOf(api.OpenAPI(), r).RequestBody = &huma.RequestBody{
		Required: !optional,
		Content:  map[string]*huma.MediaType{"application/json": {Schema: schema}},
	}
}

// status returns the status of success.
func (r *Route) status() int {
	if r.Status == 0 {
		return http.StatusOK
	}
	return r.Status
}

// creates reports whether the route makes something that it answers with.
func (r *Route) creates() bool { return r.status() == http.StatusCreated }

// parseID returns the id that a path names. What is no id names no object: the
// answer is that of a missing one. Package uuid reads other forms too, and one
// object must have one address.
func parseID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		return uuid.Nil, session.ErrNotFound
	}
	return id, nil
}
