package web

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"ronde/session"
)

// idempotencyKey documents the header of every creation.
var idempotencyKey = &huma.Param{
	Name: "Idempotency-Key", In: "header",
	Description: "A name of your own for this creation, such as a random UUID. Sent again within 24 hours under the same key, with the same API key, " +
		"path and body, it is not carried out again but answered as the first time, byte for byte; with another body it is refused. " +
		"A creation that was refused leaves its key unused.",
	Schema: &huma.Schema{Type: huma.TypeString, MinLength: new(1), MaxLength: new(255), Pattern: "^[!-~]+$"},
}

// onceOf returns by what a creation is told from others, or nil if its caller
// did not say. Bodies are the same if they are the same JSON; one that may be
// absent means {}.
func (s *Server) onceOf(r *http.Request, body jsontext.Value) (*session.Once, error) {
	keys := r.Header.Values(idempotencyKey.Name)
	switch {
	case len(keys) == 0:
		return nil, nil
	case len(keys) > 1:
		return nil, session.ErrInvalid.At(idempotencyKey.Name).Because("is there twice")
	}
	if len(body) == 0 {
		body = jsontext.Value("{}")
	}
	// Numbers stay as they were written: beyond 2^53 the canonical form of two
	// different ones is the same.
	if err := body.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)); err != nil {
		return nil, newProblem(codeInvalid, "the body is not valid JSON")
	}
	principal, err := session.PrincipalOf(r.Context())
	if err != nil {
		return nil, err
	}
	return s.service.Once(principal, r.Method+" "+r.URL.Path, keys[0], body)
}

// once carries out what o asks for unless that has happened, and then answers as
// it was answered. Without an o it carries it out.
func once[O any](ctx context.Context, s *Server, o *session.Once, do func() (*O, error)) (answer[O], error) {
	if o == nil {
		out, err := do()
		return answer[O]{value: out}, err
	}
	earlier, err := s.service.Answered(ctx, o)
	if earlier != nil || err != nil {
		return answer[O]{text: earlier}, err
	}
	out, err := do()
	if err == nil {
		return answer[O]{value: out}, nil
	}
	// Another request of this key, here or on another node, may have been faster,
	// and the mission may have gone on since: then the error is not this one's.
	earlier, asked := s.service.Answered(ctx, o)
	switch {
	case earlier != nil:
		return answer[O]{text: earlier}, nil
	case !errors.Is(err, session.ErrRepeated):
		return answer[O]{}, err
	case asked == nil:
		asked = session.ErrUnavailable.Because("the receipt is gone already")
	}
	return answer[O]{}, asked
}

// create records that c is made and stores what it holds, at most once if that
// was asked for, and returns what reply makes of it.
func create[P, B, O any](ctx context.Context, s *Server, r *request[P, B], c session.Creation, reply func() *O) (out *O, err error) {
	r.Access.Mission = c.ID
	if c.Link != nil {
		r.Access.Object = c.Link.ID
	}
	if err := r.record(ctx, s); err != nil {
		return nil, err
	}
	err = s.service.Create(ctx, c, r.Once, func() ([]byte, error) {
		out = reply()
		return json.Marshal(out)
	})
	return out, err
}

// answer is the body of an answer: a value, or the text that one became earlier.
type answer[O any] struct {
	value *O
	text  jsontext.Value
}

// MarshalJSONTo writes the value or the text.
func (a answer[O]) MarshalJSONTo(enc *jsontext.Encoder) error {
	if a.text != nil {
		return enc.WriteValue(a.text)
	}
	return json.MarshalEncode(enc, a.value)
}

// Schema documents an answer as its value.
func (answer[O]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[O](), true, "")
}
