package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/coder/websocket"

	"ronde/web"
)

// knock is what became of an attempt to open a socket.
type knock struct {
	what    string          // "the live socket"
	conn    *websocket.Conn // nil unless it opened
	local   string          // our address of the connection
	status  int             // of the answer; 0: there was none
	problem string          // the code of Ronde's own refusal, if it was one
	seen    *web.Seen       // what arrived, as far as the server told
	err     error
}

// claimed is an address that the visitor claims to come from, to see whether a
// proxy passes such claims on. It is one of documentation's (RFC 5737).
const claimed = "192.0.2.1"

// knock tries both sockets: the live one as a page does, with an Origin and the
// token among the subprotocols, the agents' as an app does, with the token in
// the Authorization header.
func (v *visit) knock(ctx context.Context) {
	page := &websocket.DialOptions{
		Subprotocols: []string{"ronde.live.v1"},
		HTTPHeader:   http.Header{"Origin": {v.config.PublicURL}, "X-Forwarded-For": {claimed}},
	}
	app := &websocket.DialOptions{
		Subprotocols: []string{agentProtocol},
		HTTPHeader:   http.Header{"X-Forwarded-For": {claimed}},
	}
	if v.token != "" {
		page.Subprotocols = append(page.Subprotocols, "bearer."+v.token)
		app.HTTPHeader.Set("Authorization", v.bearer())
	}
	v.live = v.dial(ctx, "the live socket", livePath, page)
	v.agent = v.dial(ctx, "the agents' socket", agentPath, app)
}

func (v *visit) dial(ctx context.Context, what, path string, o *websocket.DialOptions) knock {
	ctx, cancel := context.WithTimeout(ctx, v.wait)
	defer cancel()
	k := knock{what: what}
	o.HTTPClient = v.client
	conn, resp, err := websocket.Dial(traced(ctx, &k.local), v.url+path, o) //nolint:bodyclose // Dial has read and closed it
	k.conn, k.err = conn, err
	if resp == nil {
		return k
	}
	k.status = resp.StatusCode
	var seen web.Seen
	if json.Unmarshal([]byte(resp.Header.Get(web.SeenHeader)), &seen) == nil {
		k.seen = &seen
	}
	if err != nil && resp.Body != nil {
		body, _ := io.ReadAll(resp.Body) // it is in memory
		k.problem = problemOf(resp, body)
	}
	return k
}

// leave closes the sockets.
func (v *visit) leave() {
	for _, k := range []knock{v.live, v.agent} {
		if k.conn != nil {
			_ = k.conn.CloseNow()
		}
	}
}

func (v *visit) knocks() []knock { return []knock{v.live, v.agent} }

const upgradeAdvice = "let the proxy speak HTTP/1.1 to the node and pass Connection and Upgrade on: in nginx proxy_http_version 1.1, " +
	"proxy_set_header Upgrade $http_upgrade and Connection \"upgrade\"; in Apache a mod_proxy_wstunnel; see configs/"

// checkUpgrade: does a request to open a socket arrive as one, and is the
// answer to it passed back?
func (v *visit) checkUpgrade() finding {
	for _, k := range v.knocks() {
		if k.conn != nil {
			continue
		}
		if k.status == http.StatusUpgradeRequired {
			return broken("upgrade", upgradeAdvice, "%s: %s", k.what, k.unupgraded())
		}
		if k.problem == "" {
			return broken("upgrade", upgradeAdvice, "%s does not open: %v", k.what, k.err)
		}
	}
	if v.live.conn == nil && v.agent.conn == nil {
		return finding{} // both were refused for what the other checks name
	}
	return healthy("upgrade", "sockets open")
}

// unupgraded says what is missing from a request that arrived as no upgrade.
func (k knock) unupgraded() string {
	switch {
	case k.seen == nil:
		return "the request to upgrade does not arrive as one"
	case k.seen.Protocol == "HTTP/1.0":
		return "the proxy speaks HTTP/1.0 to the node, which has no upgrades"
	case k.seen.Upgrade == "":
		return "the Upgrade header does not arrive"
	case !strings.Contains(strings.ToLower(k.seen.Connection), "upgrade"):
		return fmt.Sprintf("Connection arrives as %q, without the upgrade", k.seen.Connection)
	}
	return "the request to upgrade arrives incomplete"
}

// checkSubprotocol: a page chooses no header but this one, which carries its
// token.
func (v *visit) checkSubprotocol() finding {
	const advice = "let the proxy pass Sec-WebSocket-Protocol on, both ways: it carries the version of the protocol and a page's token"
	for _, k := range v.knocks() {
		switch {
		case k.problem == "handshake":
			return broken("subprotocol", advice, "%s: Sec-WebSocket-Protocol does not arrive", k.what)
		case k.conn != nil && k.conn.Subprotocol() == "":
			return broken("subprotocol", advice, "%s: Sec-WebSocket-Protocol does not come back, and browsers hang up", k.what)
		}
	}
	if v.live.conn == nil && v.agent.conn == nil {
		return finding{}
	}
	return healthy("subprotocol", "Sec-WebSocket-Protocol passes both ways")
}

// checkOrigin: is the origin that pages have the one that the server lets in?
func (v *visit) checkOrigin() finding {
	const advice = "let the proxy leave the Origin header alone"
	page := v.config.PublicURL
	for _, k := range v.knocks() {
		if k.seen != nil && k.seen.PublicURL != page {
			return broken("origin", "start the nodes with the --public-url that browsers see, and give the doctor the same",
				"the server lets in pages of %s, and here --public-url is %s", k.seen.PublicURL, page)
		}
	}
	switch seen := v.live.seen; {
	case v.agent.problem == "origin":
		return broken("origin", advice, "the proxy makes up an Origin where there was none")
	case v.live.problem == "origin" && seen != nil && seen.Origin == "":
		return broken("origin", advice, "the proxy removes the Origin header, and pages without one are let in nowhere")
	case v.live.problem == "origin" && seen != nil:
		return broken("origin", advice, "the proxy rewrites Origin to %s", seen.Origin)
	case v.live.problem == "origin":
		return broken("origin", advice+", and check that --public-url is the same on every node", "pages of %s are refused", page)
	case v.live.conn == nil:
		return finding{}
	}
	return healthy("origin", "pages of %s are let in", page)
}

// checkAuthorization: apps send their token in this header.
func (v *visit) checkAuthorization() finding {
	page, app := v.live.seen, v.agent.seen
	switch {
	case v.token == "":
		return finding{}
	case app != nil && app.Authorization:
		return healthy("authorization", "the Authorization header arrives")
	case v.agent.status == http.StatusUnauthorized && v.agent.problem == "":
		return broken("authorization", "take the proxy's own password off Ronde's paths", "the proxy asks for a password of its own")
	case v.agent.conn == nil:
		return finding{} // whatever kept it away has been named
	case page != nil:
		return broken("authorization", "let the proxy pass Authorization on: apps, the API and event streams have their token in it", "the Authorization header does not arrive")
	}
	return doubtful("authorization", "run the doctor with the --keys and the --root-secret-file of the nodes", "the server takes no token that is signed with these keys, or none arrives")
}
