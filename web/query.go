package web

import (
	"maps"
	"net/url"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"ronde/session"
)

// checkQuery refuses a query that huma would read as another one: of a parameter
// that is there twice it takes the first, one without a value it takes for
// absent, and what it cannot decode for both. Whoever sends "agent=" by mistake
// must not get everybody's missions. Unknown parameters are left to huma.
func checkQuery(raw string, op *huma.Operation) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return newProblem(codeInvalid, "the query is not well-formed: a % is written %25, a ; %3B")
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		i := slices.IndexFunc(op.Parameters, func(p *huma.Param) bool { return p.In == "query" && p.Name == name })
		switch {
		case i < 0:
		case len(query[name]) > 1 && op.Parameters[i].Schema.Type != huma.TypeArray:
			return session.ErrInvalid.At(name).Because("is there twice")
		case slices.Contains(query[name], ""):
			return session.ErrInvalid.At(name).Because("must not be empty; leave it out")
		}
	}
	return nil
}
