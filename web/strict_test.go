package web_test

import (
	"net/http"
	"strings"
	"testing"
)

// P28, with every bad body that a client is known to send: each refused, each naming the member.
func TestStrictBodies(t *testing.T) {
	w := newWorld(t)
	swap := func(old, replacement string) string {
		if !strings.Contains(aMission, old) {
			t.Fatalf("no %q in the mission", old)
		}
		return strings.Replace(aMission, old, replacement, 1)
	}
	deep := strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001)
	area := func(geometry string) string {
		return swap(`"point":{"latitude":48.84,"longitude":2.41},"radius_m":80`, `"area":`+geometry)
	}
	for name, c := range map[string]struct{ body, code string }{
		"no body":                  {"", "invalid"},
		"white space":              {"  ", "invalid"},
		"null":                     {"null", "invalid"},
		"array":                    {"[]", "invalid"},
		"text":                     {`"x"`, "invalid"},
		"not JSON":                 {"reference=M-1", "invalid"},
		"cut short":                {aMission[:len(aMission)-1], "invalid"},
		"comment":                  {"/* */" + aMission, "invalid"},
		"trailing comma":           {swap(`"radius_m":80}`, `"radius_m":80,}`), "invalid:site"},
		"trailing data":            {aMission + "x", "invalid"},
		"trailing object":          {aMission + "{}", "invalid"},
		"BOM":                      {"\ufeff" + aMission, "invalid"},
		"UTF-16":                   {"\x00{\x00}", "invalid"},
		"invalid UTF-8":            {swap("M-1", "M\xff"), "invalid:reference"},
		"lone surrogate":           {swap("M-1", `M\ud800`), "invalid:reference"},
		"unknown member":           {swap(`"reference"`, `"color":"red","reference"`), "invalid:color"},
		"mass-assigned tenant":     {swap(`"reference"`, `"tenant":"globex","reference"`), "invalid:tenant"},
		"mass-assigned state":      {swap(`"reference"`, `"state":"active","reference"`), "invalid:state"},
		"mass-assigned hold":       {swap(`"reference"`, `"hold":{},"reference"`), "invalid:hold"},
		"nested unknown":           {swap(`"alias":"A1"`, `"alias":"A1","role":"boss"`), "invalid:agents[0].role"},
		"duplicate":                {swap(`"reference":"M-1"`, `"reference":"M-1","reference":"M-2"`), "invalid:reference"},
		"duplicate, escaped":       {swap(`"reference":"M-1"`, `"reference":"M-1","\u0072eference":"M-2"`), "invalid:reference"},
		"nested duplicate":         {swap(`"latitude":48.84`, `"latitude":48.84,"latitude":1`), "invalid:site.point.latitude"},
		"duplicate unknown":        {swap(`"radius_m":80`, `"radius_m":80,"x":1,"x":2`), "invalid:site.x"},
		"upper case":               {swap(`"reference"`, `"Reference"`), "invalid:Reference"},
		"case fold":                {swap(`"site"`, `"ſite"`), "invalid"},
		"null text":                {swap(`"M-1"`, "null"), "invalid:reference"},
		"null object":              {swap(`{"latitude":48.84,"longitude":2.41}`, "null"), "invalid:site.point"},
		"null number":              {swap("48.84", "null"), "invalid:site.point.latitude"},
		"null list":                {swap(`[{"name":"Quai","latitude":48.8401,"longitude":2.4101,"radius_m":15}]`, "null"), "invalid:checkpoints"},
		"null in a list":           {swap(`{"agent":"badge-18"}`, "null"), "invalid:agents[1]"},
		"null time":                {swap(`"2026-11-21T20:00:00+01:00"`, "null"), "invalid:starts_at"},
		"null optional":            {swap(`"agents"`, `"overrun_minutes":null,"agents"`), "invalid:overrun_minutes"},
		"number for text":          {swap(`"M-1"`, "1"), "invalid:reference"},
		"text for number":          {swap("48.84", `"48.84"`), "invalid:site.point.latitude"},
		"object for list":          {swap(`[{"agent":"badge-17","alias":"A1"},{"agent":"badge-18"}]`, "{}"), "invalid:agents"},
		"fraction for whole":       {swap(`"agents"`, `"overrun_minutes":1.5,"agents"`), "invalid:overrun_minutes"},
		"text for boolean":         {swap(`"agents"`, `"policy":{"speed":"yes"},"agents"`), "invalid:policy.speed"},
		"infinite":                 {swap("48.84", "1e999"), "invalid:site.point.latitude"},
		"NaN":                      {swap("48.84", "NaN"), "invalid:site.point.latitude"},
		"deep":                     {swap(`"M-1"`, deep), "invalid"},
		"deep unknown":             {swap(`"reference"`, `"x":`+deep+`,"reference"`), "invalid:x"},
		"no site":                  {swap(`"site"`, `"reference2"`), "invalid:reference2"},
		"area beside a point":      {swap(`"radius_m":80`, `"area":{"type":"Polygon"}`), "invalid:site.area"},
		"area beside a radius":     {swap(`"point":{"latitude":48.84,"longitude":2.41}`, `"area":{"type":"Polygon"}`), "invalid:site.area"},
		"neither":                  {swap(`"point":{"latitude":48.84,"longitude":2.41},"radius_m":80`, `"name2":1`), "invalid:site.name2"},
		"null area":                {area("null"), "invalid:site.area"},
		"area as text":             {area(`"POLYGON"`), "invalid:site.area"},
		"area of no kind":          {area(`{"type":"Circle","coordinates":[]}`), "invalid:site.area.type"},
		"area, no coordinates":     {area(`{"type":"Polygon"}`), "invalid:site.area.coordinates"},
		"area with a crs":          {area(`{"type":"Polygon","crs":{},"coordinates":[]}`), "invalid:site.area.crs"},
		"area's type twice":        {area(`{"type":"Polygon","type":"Polygon","coordinates":[]}`), "invalid:site.area.type"},
		"area unclosed":            {area(`{"type":"Polygon","coordinates":[[[2,48],[2.1,48],[2.1,48.1],[2,48.1]]]}`), "invalid:site.area.coordinates[0][3]"},
		"area crossing itself":     {area(`{"type":"MultiPolygon","coordinates":[[[[2,48],[2.1,48.1],[2.1,48],[2,48.1],[2,48]]]]}`), "invalid:site.area.coordinates[0][0][2]"},
		"area with swapped axes":   {area(`{"type":"Polygon","coordinates":[[[35.6,139.7],[35.7,139.7],[35.7,139.8],[35.6,139.7]]]}`), "invalid:site.area.coordinates[0][0]"},
		"area too deep":            {area(`{"type":"Polygon","coordinates":` + deep[9000:len(deep)-9000] + `}`), "invalid:site.area.coordinates[0][0]"},
		"no point":                 {swap(`"point":{"latitude":48.84,"longitude":2.41},`, ""), "invalid:site.point"},
		"no radius":                {swap(`,"radius_m":80`, ""), "invalid:site.radius_m"},
		"no latitude":              {swap(`"latitude":48.84,`, ""), "invalid:site.point.latitude"},
		"no longitude":             {swap(`,"longitude":2.41`, ""), "invalid:site.point.longitude"},
		"checkpoint, no latitude":  {swap(`"latitude":48.8401,`, ""), "invalid:checkpoints[0].latitude"},
		"checkpoint, no radius":    {swap(`,"radius_m":15`, ""), "invalid:checkpoints[0].radius_m"},
		"no agents":                {swap(`[{"agent":"badge-17","alias":"A1"},{"agent":"badge-18"}]`, "[]"), "invalid:agents"},
		"no reference":             {swap(`"reference":"M-1",`, ""), "invalid:reference"},
		"no start":                 {swap(`"starts_at":"2026-11-21T20:00:00+01:00",`, ""), "invalid:starts_at"},
		"latitude 90.0000001":      {swap("48.84", "90.0000001"), "invalid:site.point"},
		"exactly 0,0":              {swap(`{"latitude":48.84,"longitude":2.41}`, `{"latitude":0,"longitude":-0}`), "invalid:site.point"},
		"radius 0":                 {swap(`"radius_m":80`, `"radius_m":0`), "invalid:site.radius_m"},
		"time without zone":        {swap("20:00:00+01:00", "20:00:00"), "invalid:starts_at"},
		"time with a space":        {swap("2026-11-21T20", "2026-11-21 20"), "invalid:starts_at"},
		"time of hour 25":          {swap("T20:00:00", "T25:00:00"), "invalid:starts_at"},
		"time with a comma":        {swap("20:00:00+", "20:00:00,5+"), "invalid:starts_at"},
		"time as number":           {swap(`"2026-11-21T20:00:00+01:00"`, "1795255200"), "invalid:starts_at"},
		"end before start":         {swap("2026-11-22T02", "2026-11-21T02"), "invalid:ends_at"},
		"ten years":                {swap("2026-11-22T02", "2036-11-22T02"), "invalid:ends_at"},
		"in the past":              {strings.NewReplacer("2026-11-21", "2020-11-21", "2026-11-22", "2020-11-22").Replace(aMission), "invalid:ends_at"},
		"overrun too long":         {swap(`"agents"`, `"overrun_minutes":1441,"agents"`), "invalid:overrun_minutes"},
		"overrun that would wrap":  {swap(`"agents"`, `"overrun_minutes":307445734561825920,"agents"`), "invalid:overrun_minutes"},
		"early that would wrap":    {swap(`"agents"`, `"early_minutes":-307445734561825860,"agents"`), "invalid:early_minutes"},
		"interval that would wrap": {swap(`"agents"`, `"policy":{"min_interval_ms":18446744073710},"agents"`), "invalid:policy.min_interval_ms"},
		"days that would wrap":     {swap(`"agents"`, `"policy":{"retention_days":4294967306},"agents"`), "invalid:policy.retention_days"},
		"points that would wrap":   {swap(`"agents"`, `"policy":{"max_points":4294967306},"agents"`), "invalid:policy.max_points"},
		"no points":                {swap(`"agents"`, `"policy":{"max_points":0},"agents"`), "invalid:policy.max_points"},
		"too long kept":            {swap(`"agents"`, `"policy":{"retention_days":61},"agents"`), "invalid:policy.retention_days"},
		"other track":              {swap(`"agents"`, `"policy":{"track":"some"},"agents"`), "invalid:policy.track"},
		"other purpose":            {swap(`"agents"`, `"policy":{"purpose":"fun"},"agents"`), "invalid:policy.purpose"},
		"null policy":              {swap(`"agents"`, `"policy":null,"agents"`), "invalid:policy"},
		"markup is text, CRLF not": {swap("M-1", `M\r\nSet-Cookie: x`), "invalid:reference"},
		"ANSI":                     {swap("M-1", `M\u001b[31m`), "invalid:reference"},
		"right to left":            {swap("M-1", "M\u202e1"), "invalid:reference"},
		"NUL":                      {swap("M-1", `M\u0000`), "invalid:reference"},
		"agent name with space":    {swap("badge-17", "badge 17"), "invalid:agents[0].agent"},
		"agent twice":              {swap("badge-18", "badge-17"), "invalid:agents[1].agent"},
		"alias twice":              {swap(`{"agent":"badge-18"}`, `{"agent":"badge-18","alias":"A1"}`), "invalid:agents[1].alias"},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			a := w.call("POST", "/v1/missions", "platform", c.body, "Content-Type", "", "Content-Type", "application/json").want(422, c.code)
			if len(a.body) > 400 {
				t.Errorf("the refusal has %d bytes", len(a.body))
			}
		})
	}
	if items := w.call("GET", "/v1/missions", "platform", "").json()["items"].([]any); len(items) != 0 {
		t.Errorf("refused bodies made missions: %v", items)
	}
	w.call("POST", "/v1/missions", "platform", swap("M-1", "<script>alert(1)</script>")).want(201, "")
}

func TestMediaType(t *testing.T) {
	w := newWorld(t)
	post := func(headers ...string) *answer {
		return w.call("POST", "/v1/missions", "platform", w.fresh(aMission), append([]string{"Content-Type", ""}, headers...)...)
	}
	for _, good := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"} {
		post("Content-Type", good).want(201, "")
	}
	post("Content-Type", "application/json", "Content-Encoding", "identity").want(201, "")
	post().want(415, "media_type")
	for _, bad := range []string{
		"text/plain", "application/x-www-form-urlencoded", "application/problem+json", "application/json; charset=latin1",
		"application/json; charset=utf-8; x=y", "application/json; version=1", "json", "application/json, text/plain", "*/*", ";",
	} {
		post("Content-Type", bad).want(415, "media_type")
	}
	post("Content-Type", "application/json", "Content-Type", "application/json").want(415, "media_type")
	for _, encoding := range []string{"gzip", "br", "deflate", "x"} {
		post("Content-Type", "application/json", "Content-Encoding", encoding).want(415, "media_type")
	}
}

func TestBodyLimit(t *testing.T) {
	w := newWorld(t)
	pad := func(n int) string { return aMission + strings.Repeat(" ", n-len(aMission)) }
	w.call("POST", "/v1/missions", "platform", pad(1<<20)).want(201, "")
	w.call("POST", "/v1/missions", "platform", pad(1<<20+1)).want(413, "too_large")
	req, err := http.NewRequestWithContext(t.Context(), "POST", w.url+"/v1/missions", struct{ *strings.Reader }{strings.NewReader(pad(2 << 20))})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = -1 // chunked
	req.Header.Set("Authorization", "Bearer "+w.keys["platform"])
	req.Header.Set("Content-Type", "application/json")
	w.send(req).want(413, "too_large")
}

// Links say what they want in the same strict way.
func TestLinkBodies(t *testing.T) {
	w := newWorld(t)
	at := "/v1/missions/" + w.mission() + "/links"
	for _, body := range []string{
		"", "{}", `{"profile":"status"}`, `{"profile":"cell:8","trail":true}`, `{"profile":"exact","expires_in_seconds":60,"max_viewers":3,"label":"Client «A»"}`,
		`{"expires_in_seconds":9223372036854775807}`,
	} {
		w.call("POST", at, "operator", body).want(201, "")
	}
	for body, code := range map[string]string{
		`{"profile":"cell:16"}`: "invalid:profile", `{"profile":"cell:08"}`: "invalid:profile", `{"profile":"Exact"}`: "invalid:profile",
		`{"profile":""}`: "invalid:profile", `{"profile":null}`: "invalid:profile", `{"profile":8}`: "invalid:profile",
		`{"trail":"yes"}`: "invalid:trail", `{"trail":1}`: "invalid:trail",
		`{"expires_in_seconds":0}`: "invalid:expires_in_seconds", `{"expires_in_seconds":-5}`: "invalid:expires_in_seconds", `{"expires_in_seconds":1.5}`: "invalid:expires_in_seconds",
		`{"max_viewers":0}`: "invalid:max_viewers", `{"max_viewers":10001}`: "invalid:max_viewers", `{"max_viewers":null}`: "invalid:max_viewers",
		`{"label":"a\nb"}`: "invalid:label", `{"label":7}`: "invalid:label", `{"expires_at":"2030-01-01T00:00:00Z"}`: "invalid:expires_at",
		"[]": "invalid",
	} {
		w.call("POST", at, "operator", body).want(422, code)
	}
}
