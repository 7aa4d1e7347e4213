package web_test

import (
	"encoding/json"
	"html"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ronde/session"
)

// said returns all texts of an answer, one a line.
func said(v any) string {
	switch v := v.(type) {
	case string:
		return v + "\n"
	case []any:
		var all strings.Builder
		for _, e := range v {
			all.WriteString(said(e))
		}
		return all.String()
	case map[string]any:
		var all strings.Builder
		for _, e := range v {
			all.WriteString(said(e))
		}
		return all.String()
	}
	return ""
}

// policyIn returns the policy, and the page, in a language.
func (w *world) policyIn(language string) (policy map[string]any, page string) {
	w.t.Helper()
	policy = w.call("GET", "/v1/policy?lang="+language, "auditor", "").want(200, "").json()
	page = html.UnescapeString(string(w.call("GET", "/policy?lang="+language, "", "").want(200, "").body))
	return policy, page
}

// TestPolicyIsTheTruth changes what the installation is and what the tenant has
// published, and sees the policy say so, in both languages.
func TestPolicyIsTheTruth(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		installation  session.Installation
		en, fr        []string
		notEN, notFR  []string
		name, contact any
	}{
		{
			session.Installation{},
			[]string{"WITHOUT TLS", "TLS is not enforced", "in a folder of the server", "does not say who that is", "no address to write to"},
			[]string{"SANS TLS", "TLS n’est pas imposé", "dans un dossier du serveur", "ne dit pas qui c’est", "ne donne pas d’adresse"},
			[]string{"over TLS alone"}, []string{"que par TLS"}, nil, nil,
		},
		{
			session.Installation{Operator: "Hébergeur <SARL>", Contact: "dpo@example.org", HTTPS: true, Private: true, KeysApart: true},
			[]string{"Hébergeur <SARL> runs this server", "Write to: dpo@example.org", "over TLS alone", "nothing leaves a machine without TLS", "in another database"},
			[]string{"Hébergeur <SARL> exploite ce serveur", "Pour écrire : dpo@example.org", "que par TLS", "rien ne quitte une machine sans TLS", "dans une autre base"},
			[]string{"WITHOUT TLS", "not say who"}, []string{"SANS TLS", "ne dit pas qui"}, "Hébergeur <SARL>", "dpo@example.org",
		},
	} {
		w.service.Installation = c.installation
		for language, want := range map[string]struct{ says, not []string }{"en": {c.en, c.notEN}, "fr": {c.fr, c.notFR}} {
			policy, page := w.policyIn(language)
			for _, text := range []string{said(policy), page} {
				for _, s := range want.says {
					if !strings.Contains(text, s) {
						t.Errorf("%s: %q is not said", language, s)
					}
				}
				for _, s := range want.not {
					if strings.Contains(text, s) {
						t.Errorf("%s: %q is said", language, s)
					}
				}
			}
			if p := policy["processor"].(map[string]any); p["name"] != c.name || p["contact"] != c.contact {
				t.Errorf("processor %v", p)
			}
		}
	}
	if p, _ := w.policyIn("en"); p["notice"] != nil || !strings.Contains(said(p), "It has published no notice here yet") {
		t.Errorf("notice %v before one was published", p["notice"])
	}
	body, err := json.Marshal(wholeNotice)
	if err != nil {
		t.Fatal(err)
	}
	w.call("PUT", "/v1/notice", "platform", string(body)).want(200, "")
	p, page := w.policyIn("fr")
	if c := p["controller"].(map[string]any); c["name"] != wholeNotice["controller"] || p["notice"].(map[string]any)["rights"] != wholeNotice["rights"] {
		t.Errorf("controller %v, notice %v", c, p["notice"])
	}
	if strings.Contains(page, "Gardien") {
		t.Error("the page that everybody sees names a tenant")
	}
	if other := w.call("GET", "/v1/policy", "foreign", "").want(200, "").json(); other["notice"] != nil {
		t.Errorf("another tenant sees %v", other["notice"])
	}
}

// TestPolicyNamesTheTerms: the numbers are those by which the code works.
func TestPolicyNamesTheTerms(t *testing.T) {
	w := newWorld(t)
	policy, page := w.policyIn("en")
	for _, text := range []string{said(policy), page} {
		for _, s := range []string{
			"30 days after it began by default, at most 60; at most 365", "12 months", "24 hours", "72 hours", "400 days", "after 7 days", "one position in 1 s", "60 minutes after",
		} {
			if !strings.Contains(text, s) {
				t.Errorf("%q is not said", s)
			}
		}
	}
	wantKeys(t, "policy", policy, "collected controller impact_assessment introduction kept language notice processor recipients rights security title when")
	// What the policy says, a mission that asks for nothing gets.
	m := w.call("GET", "/v1/missions/"+w.mission(), "platform", "").want(200, "").json()["policy"].(map[string]any)
	if usual := session.DefaultPolicy(); m["retention_days"] != float64(usual.RetentionDays) || m["min_interval_ms"] != float64(usual.MinInterval/time.Millisecond) {
		t.Errorf("a mission's policy is %v", m)
	}
}

// The tenant's own term is in the tenant's policy, and in nobody else's.
func TestPolicyOfTenant(t *testing.T) {
	w := newWorld(t)
	if err := w.store.SetMissionTerm(t.Context(), "acme", 7); err != nil {
		t.Fatal(err)
	}
	const own = "7 months after the mission is over"
	policy, page := w.policyIn("en")
	if text := said(policy); !strings.Contains(text, own) || !strings.Contains(text, "records name people for 7 months") {
		t.Errorf("the tenant's term is not in %s", text)
	}
	for _, text := range []string{page, said(w.call("GET", "/v1/policy?lang=en", "foreign", "").want(200, "").json())} {
		if strings.Contains(text, own) || !strings.Contains(text, "12 months after the mission is over") {
			t.Errorf("one tenant's term is in %s", text)
		}
	}
}

// concerning returns the classes of data that concern people.
func concerning() (names []string) {
	for _, c := range session.DataClasses() {
		if c.Class != session.ClassInstallation {
			names = append(names, string(c.Class))
		}
	}
	return names
}

// TestPolicyIsWhole: every field and class has words, in both languages, and no
// fact is left out of a text.
func TestPolicyIsWhole(t *testing.T) {
	w := newWorld(t)
	for _, language := range []string{"en", "fr"} {
		policy, page := w.policyIn(language)
		if policy["language"] != language || !strings.Contains(page, `<html lang="`+language+`">`) {
			t.Errorf("asked for %s: %v", language, policy["language"])
		}
		var fields, classes []string
		for _, f := range policy["collected"].([]any) {
			f := f.(map[string]any)
			fields = append(fields, f["field"].(string))
			if f["what"] == "" || f["why"] == "" || !strings.Contains(page, f["what"].(string)) || !strings.Contains(page, f["why"].(string)) {
				t.Errorf("%s: field %v", language, f)
			}
		}
		for _, k := range policy["kept"].([]any) {
			k := k.(map[string]any)
			classes = append(classes, k["class"].(string))
			if clear := k["sealed"] == false; clear != slices.Contains([]any{"facts", "mission_records", "acknowledgements", "access_log", "tenant"}, k["class"]) {
				t.Errorf("%s: class %v", language, k)
			}
			if k["what"] == "" || k["until"] == "" || !strings.Contains(page, k["what"].(string)) || !strings.Contains(page, k["until"].(string)) {
				t.Errorf("%s: class %v", language, k)
			}
		}
		var want []string
		for _, f := range session.StoredFields() {
			want = append(want, f.Name)
		}
		if !slices.Equal(fields, want) || !slices.Equal(classes, concerning()) {
			t.Errorf("%s: fields %v, classes %v", language, fields, classes)
		}
		if strings.ContainsAny(said(policy), "{}") {
			t.Errorf("%s: a fact is missing in %s", language, said(policy))
		}
	}
	en, _ := w.policyIn("en")
	fr, _ := w.policyIn("fr")
	if !reflect.DeepEqual(shapeOf(en), shapeOf(fr)) {
		t.Error("the two languages do not say as many things")
	}
}

// shapeOf returns a value with its texts blanked.
func shapeOf(v any) any {
	switch v := v.(type) {
	case string:
		return ""
	case []any:
		shape := make([]any, len(v))
		for i := range v {
			shape[i] = shapeOf(v[i])
		}
		return shape
	case map[string]any:
		shape := map[string]any{}
		for k := range v {
			shape[k] = shapeOf(v[k])
		}
		return shape
	}
	return v
}

// TestPolicyLanguage: the language asked for comes first, then the browser's.
func TestPolicyLanguage(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ query, accept, want string }{
		{"", "", "en"}, {"", "fr", "fr"}, {"", "fr-FR,fr;q=0.9,en;q=0.8", "fr"}, {"", "de, en;q=0.5, fr;q=0.7", "fr"},
		{"", "de", "en"}, {"", "fr;q=0", "en"}, {"", ";;q=,,", "en"}, {"?lang=en", "fr", "en"}, {"?lang=fr", "en", "fr"},
	} {
		headers := []string{}
		if c.accept != "" {
			headers = []string{"Accept-Language", c.accept}
		}
		if got := w.call("GET", "/v1/policy"+c.query, "auditor", "", headers...).want(200, "").json()["language"]; got != c.want {
			t.Errorf("%q, %q: the policy is in %v, want %s", c.query, c.accept, got, c.want)
		}
		if got := w.call("GET", "/policy"+c.query, "", "", headers...).want(200, "").header.Get("Content-Language"); got != c.want {
			t.Errorf("%q, %q: the page is in %v, want %s", c.query, c.accept, got, c.want)
		}
	}
	w.call("GET", "/v1/policy?lang=de", "auditor", "").want(422, "invalid:lang")
}

// TestPolicyPage: the page has its own nonce each time, and no markup of a
// setting's.
func TestPolicyPage(t *testing.T) {
	w := newWorld(t)
	w.service.Installation = session.Installation{Operator: "<script>alert(1)</script>"}
	nonces := map[string]bool{}
	for range 2 {
		a := w.call("GET", "/policy", "", "").want(http.StatusOK, "")
		if strings.Contains(string(a.body), "<script>") {
			t.Error("a setting became markup")
		}
		policy := a.header.Get("Content-Security-Policy")
		_, nonce, _ := strings.Cut(policy, "script-src 'nonce-")
		nonce, _, _ = strings.Cut(nonce, "'")
		if nonce == "" || !strings.Contains(string(a.body), `<script nonce="`+nonce+`">`) || !strings.Contains(string(a.body), `<style nonce="`+nonce+`">`) {
			t.Errorf("nonce %q in %s", nonce, policy)
		}
		if !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", a.header)
		}
		nonces[nonce] = true
	}
	if len(nonces) != 2 {
		t.Error("two answers share a nonce")
	}
}
