package web_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// wholeNotice is a notice in parts.
var wholeNotice = map[string]string{
	"controller": "Gardien SA, dpo@gardien.example", "purpose": "Sûreté des agents", "legal_basis": "RGPD, article 6(1)(f)",
	"recipients": "Le client de la mission, pendant la mission", "retention": "30 jours", "rights": "Accès, effacement, opposition\nCNIL",
}

// TestNoticeInParts: what agents read is made of the parts where no text is given;
// a text may stand alone or beside parts.
func TestNoticeInParts(t *testing.T) {
	w := newWorld(t)
	publish := func(change func(n map[string]string)) *answer {
		t.Helper()
		n := maps.Clone(wholeNotice)
		change(n)
		body, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		return w.call("PUT", "/v1/notice", "platform", string(body))
	}
	one := publish(func(map[string]string) {}).want(200, "").json()
	for member, value := range wholeNotice {
		if one[member] != value {
			t.Errorf("%s reads %v", member, one[member])
		}
		if !strings.Contains(one["text"].(string), value) {
			t.Errorf("what agents read lacks %s", member)
		}
	}
	if got := w.call("GET", "/v1/notice", "auditor", "").want(200, "").json(); !maps.Equal(got, one) {
		t.Errorf("reads back as %v", got)
	}
	for member := range wholeNotice { // in parts, it is whole
		publish(func(n map[string]string) { delete(n, member) }).want(422, "invalid:"+member)
		publish(func(n map[string]string) { n[member] = "a\u202eb" }).want(422, "invalid:"+member)
	}
	publish(func(n map[string]string) {
		n["purpose"], n["rights"] = strings.Repeat("x", 15_000), strings.Repeat("y", 15_000)
	}).
		want(422, "invalid:text")
	two := publish(func(n map[string]string) { delete(n, "rights"); n["text"] = "Notre avis." }).want(200, "").json()
	if two["version"] != 2.0 || two["text"] != "Notre avis." || two["purpose"] != wholeNotice["purpose"] || two["rights"] != nil {
		t.Errorf("a text beside parts: %v", two)
	}
}
