package main

import (
	"strings"
	"testing"
	"time"
)

// TestPolicyPage reads the policy in a browser: what the installation says in
// both languages, and what an agent's own tenant has published, by their token.
func TestPolicyPage(t *testing.T) {
	s := embedded(t.TempDir())
	s.OperatorName, s.OperatorContact = "Hébergeur SARL", "confidentialite@hebergeur.example"
	a := startConfigured(t, s)
	b := openBrowser(t, a.config.PublicURL)
	now := time.Now()
	mission := a.createMission(now, now.Add(time.Hour), 48.85, 2.34, 100, nil)
	a.call(200, "PUT", "/v1/notice", object{
		"controller": "Gardien SA\n1 rue de la Garde, Paris", "purpose": "Sûreté des agents isolés", "legal_basis": "Intérêt légitime, RGPD article 6(1)(f)",
		"recipients": "Le client de la mission", "retention": "30 jours", "rights": "dpo@gardien.example",
	})
	at := a.config.PublicURL + "/policy"
	b.open(at + "?lang=en")
	b.until("h1", "Privacy policy")
	b.until("main", "Hébergeur SARL runs this server")
	b.picture("policy-en")
	b.open(at + "?lang=fr")
	b.until("h1", "Politique de confidentialité")
	b.until("main", "Pour écrire : confidentialite@hebergeur.example")
	b.picture("policy-fr")
	b.do("press", object{"key": "Tab"})
	if focus := b.do("read", object{"expression": "document.activeElement.innerText"}); focus != "In English" {
		t.Errorf("the first stop of the keyboard is %v", focus)
	}
	if page := b.do("read", object{"expression": "document.body.innerText"}).(string); strings.Contains(page, "Gardien") {
		t.Error("everybody is told of a tenant")
	}
	// Nothing is wider than the paper or the phone.
	if wide := b.do("read", object{"expression": "document.documentElement.scrollWidth > innerWidth"}); wide != false {
		t.Error("the page scrolls sideways")
	}

	check(t, a.service.Store.SetMissionTerm(t.Context(), "acme", 7))
	b.open(a.config.PublicURL + "/")
	b.open(at + "?lang=fr#" + a.agentToken(mission))
	b.until("main", "7 mois après la fin de la mission")
	b.until("main", "fiches nominatives pendant 7 mois")
	b.until("#notice", "Gardien SA")
	b.until("#notice", "Intérêt légitime")
	if url := b.do("read", object{"expression": "location.href"}).(string); strings.Contains(url, "#") {
		t.Error("the token is still in the address")
	}
	if text := b.do("read", object{"expression": "document.querySelector('[data-notice=text]').closest('div').hidden"}); text != true {
		t.Error("a notice in parts is shown twice")
	}
	b.picture("policy-agent")
	b.clean()
}
