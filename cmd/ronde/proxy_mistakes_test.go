package main

import "testing"

// fronts are the proxies by name.
var fronts = map[string]func(*testing.T, starter, ...string) *front{"haproxy": newHAProxy, "nginx": newNginx, "caddy": newCaddy}

// slip is an edit of a shipped file with which users of such systems stumble,
// and what the doctor says of it.
type slip struct {
	name    string
	proxy   string
	edits   []string // pairs of old and new text
	check   string
	verdict string
	says    []string
	args    []string // for the doctor, besides the usual ones
}

var slips = []slip{
	{"Upgrade not passed", "nginx", []string{"proxy_set_header Upgrade    $http_upgrade;", ""},
		"upgrade", verdictFail, []string{"the Upgrade header does not arrive", "proxy_set_header Upgrade"}, nil},
	{"Connection not passed", "nginx", []string{"proxy_set_header Connection $ronde_connection;", `proxy_set_header Connection "";`},
		"upgrade", verdictFail, []string{"Connection arrives as"}, nil},
	{"HTTP 1.0", "nginx", []string{"proxy_http_version 1.1;", "proxy_http_version 1.0;"},
		"upgrade", verdictFail, []string{"HTTP/1.0", "proxy_http_version 1.1"}, nil},
	{"no settings at all", "nginx", []string{
		"proxy_http_version 1.1;", "", "proxy_set_header Upgrade    $http_upgrade;", "", "proxy_set_header Connection $ronde_connection;", "",
	}, "upgrade", verdictFail, []string{"HTTP/1.0"}, nil},
	{"subprotocol not passed", "nginx", []string{"gzip off;", `gzip off; proxy_set_header Sec-WebSocket-Protocol "";`},
		"subprotocol", verdictFail, []string{"Sec-WebSocket-Protocol does not arrive"}, nil},
	{"subprotocol not returned", "nginx", []string{"gzip off;", "gzip off; proxy_hide_header Sec-WebSocket-Protocol;"},
		"subprotocol", verdictFail, []string{"does not come back"}, nil},
	{"Origin rewritten", "nginx", []string{"gzip off;", "gzip off; proxy_set_header Origin http://$proxy_host;"},
		"origin", verdictFail, []string{"Origin"}, nil},
	{"Origin removed", "nginx", []string{"gzip off;", `gzip off; proxy_set_header Origin "";`},
		"origin", verdictFail, []string{"removes the Origin"}, nil},
	{"Authorization not passed", "nginx", []string{"gzip off;", `gzip off; proxy_set_header Authorization "";`},
		"authorization", verdictFail, []string{"Authorization header does not arrive"}, nil},
	// Ronde switches nginx's buffering off by itself, unless nginx is told not to listen.
	{"buffering", "nginx", []string{"proxy_buffering off;", "proxy_buffering on;"}, "events", verdictOK, nil, nil},
	{"buffering, whatever Ronde says", "nginx", []string{"proxy_buffering off;", "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"},
		"events", verdictFail, []string{"held back", "proxy_buffering off"}, nil},
	{"compression", "nginx", []string{"gzip off;", "gzip on; gzip_proxied any; gzip_min_length 0; gzip_types text/event-stream;"},
		"events", verdictFail, []string{"compresses event streams (gzip)"}, nil},
	{"short timeout", "nginx", []string{"proxy_read_timeout 75s;", "proxy_read_timeout 1s;"},
		"idle", verdictFail, []string{"was cut after", "25s", "proxy_read_timeout"}, []string{"--idle", "5s"}},
	{"claims passed on", "nginx", []string{"proxy_set_header X-Forwarded-For   $remote_addr;", ""},
		"address", verdictFail, []string{"whatever clients claim"}, nil},
	{"short bodies", "nginx", []string{"client_max_body_size 1m;", "client_max_body_size 100k;"},
		"body", verdictFail, []string{"413", "client_max_body_size 1m"}, nil},
	{"short headers", "nginx", []string{"large_client_header_buffers 4 8k;", "large_client_header_buffers 4 2k;"},
		"headers", verdictFail, []string{"large_client_header_buffers"}, nil},
	{"another path", "nginx", []string{"proxy_pass http://ronde;", "proxy_pass http://ronde/ronde/;"},
		"url", verdictFail, []string{"the path arrives rewritten"}, nil},
	{"no node", "nginx", []string{"proxy_pass http://ronde;", "proxy_pass http://127.0.0.1:1;"},
		"url", verdictFail, []string{"reaches no node"}, nil},

	{"short timeout of sockets", "haproxy", []string{"timeout tunnel 75s", "timeout tunnel 1s"},
		"idle", verdictFail, []string{"socket was cut after", "tunnel"}, []string{"--idle", "5s"}},
	{"short timeout of answers", "haproxy", []string{"timeout server 75s", "timeout server 1s"},
		"idle", verdictFail, []string{"event stream was cut after", "tunnel"}, []string{"--idle", "5s"}},
	{"no address", "haproxy", []string{"http-request set-header X-Forwarded-For %[src]", "http-request del-header X-Forwarded-For"},
		"address", verdictWarn, []string{"says nothing of its clients", "option forwardfor"}, nil},
	{"Authorization not passed", "haproxy", []string{"default_backend ronde", "http-request del-header Authorization\n    default_backend ronde"},
		"authorization", verdictFail, []string{"Authorization header does not arrive"}, nil},
	{"another scheme", "haproxy", []string{"default_backend ronde", "http-request redirect scheme http\n    default_backend ronde"},
		"url", verdictFail, []string{"sends browsers on to http://"}, nil},

	{"Origin rewritten", "caddy", []string{"lb_policy least_conn", "lb_policy least_conn\n\t\theader_up Origin http:// http://backend-"},
		"origin", verdictFail, []string{"rewrites Origin to http://backend-"}, nil},
	{"another path", "caddy", []string{"\treverse_proxy {$RONDE", "\turi strip_prefix /v1\n\treverse_proxy {$RONDE"},
		"url", verdictFail, []string{"the path arrives rewritten"}, nil},
}

// TestDoctorFindsSlips runs real proxies with the shipped files in which one
// thing is wrong.
func TestDoctorFindsSlips(t *testing.T) {
	for _, s := range slips {
		t.Run(s.proxy+", "+s.name, func(t *testing.T) {
			t.Parallel()
			f := fronts[s.proxy](t, newLone, s.edits...)
			f.examine(s.args...).want(s.check, s.verdict, s.says...)
		})
	}
}
