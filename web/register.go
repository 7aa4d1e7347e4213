package web

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// binder registers the handler of one route.
type binder func(b *builder, r *Route)

// builder makes a server's mux from a table of routes. It is the only way into
// the mux, for huma too: what the table does not declare cannot be registered,
// and nothing is registered without the checks that the table asks for.
type builder struct {
	server *Server
	api    huma.API
	mux    *http.ServeMux
	routes map[string]*Route // by pattern
	bound  map[string]bool
	// records holds the patterns whose uses operation records, if their routes
	// want it.
	records map[string]bool
}

// register builds the server's mux and OpenAPI document from the table.
func (s *Server) register(routes []Route) {
	if err := checkRoutes(routes); err != nil {
		panic("web: " + err.Error())
	}
	b := &builder{server: s, mux: http.NewServeMux(), routes: map[string]*Route{}, bound: map[string]bool{}, records: map[string]bool{}}
	for i := range routes {
		b.routes[routes[i].Pattern()] = &routes[i]
	}
	b.api = humago.New(b, apiConfig(s.version))
	for i := range routes {
		routes[i].bind(b, &routes[i])
		if !b.bound[routes[i].Pattern()] {
			panic("web: route " + routes[i].Pattern() + " has no handler")
		}
		if routes[i].Access.atEdge() && !b.records[routes[i].Pattern()] {
			panic("web: route " + routes[i].Pattern() + " is to be recorded, which only an operation does")
		}
	}
	s.mux = b.mux
	s.openAPI = document(b.api.OpenAPI(), routes)
}

// HandleFunc registers a handler under a pattern that the table declares,
// behind the checks of its route. It panics for any other pattern.
func (b *builder) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	route := b.routes[pattern]
	if route == nil {
		panic("web: " + pattern + " is registered but not declared in the table of routes")
	}
	b.bound[pattern] = true
	b.mux.HandleFunc(pattern, b.server.protect(route, h))
}

// ServeHTTP makes builder the mux that huma wants; nothing is served through it.
func (b *builder) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.mux.ServeHTTP(w, r) }

// plain binds a handler that is outside of huma.
func plain(h func(*Server, http.ResponseWriter, *http.Request)) binder {
	return func(b *builder, r *Route) {
		b.HandleFunc(r.Pattern(), func(w http.ResponseWriter, req *http.Request) { h(b.server, w, req) })
	}
}
