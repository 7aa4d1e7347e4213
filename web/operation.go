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
// and query, and the strictly decoded body.
type request[P, B any] struct {
	Principal *session.Principal
	Params    P
	Body      B
}

// none stands for no parameters, or no body.
type none struct{}

// empty is the body of an operation that has nothing to say: absent, or {}.
type empty struct{}

// optional lets the body be absent.
func (empty) optional() {}

// reply is what huma writes.
type reply[O any] struct{ Body *O }

type bodyKey struct{}

// operation binds a handler of the API: it documents it with huma, decodes what
// comes in and encodes what goes out. Huma reads no body itself, because its
// own reader echoes what it could not read.
func operation[P, B, O any](handle func(*Server, context.Context, *request[P, B]) (*O, error)) binder {
	return func(b *builder, r *Route) {
		s := b.server
		op := huma.Operation{
			OperationID: r.Name, Method: r.Method, Path: r.Path, Summary: r.Summary,
			DefaultStatus: r.status(),
			Middlewares: huma.Middlewares{func(hc huma.Context, next func(huma.Context)) {
				req, w := humago.Unwrap(hc)
				req.Header.Del("Accept") // there is one form, whatever is asked for
				body := new(B)
				err := readBody(w, req, body)
				if err == nil {
					err = checkQuery(req.URL.RawQuery, hc.Operation())
				}
				if err != nil {
					s.fail(w, req, err)
					return
				}
				next(huma.WithValue(hc, bodyKey{}, body))
			}},
		}
		huma.Register(b.api, op, func(ctx context.Context, params *P) (*reply[O], error) {
			principal, err := session.PrincipalOf(ctx)
			if err != nil {
				return nil, s.problem(ctx, err)
			}
			out, err := handle(s, ctx, &request[P, B]{Principal: principal, Params: *params, Body: *ctx.Value(bodyKey{}).(*B)})
			if err != nil {
				return nil, s.problem(ctx, err)
			}
			return &reply[O]{Body: out}, nil
		})
		describeBody[B](b.api, r)
	}
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
