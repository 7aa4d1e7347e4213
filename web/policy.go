package web

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"html/template"
	"net/http"
	"strings"

	"ronde/session"
)

type policyParams struct {
	Language string `query:"lang" enum:"en,fr" doc:"The language of the texts; without it, by Accept-Language, else en"`
	Accept   string `header:"Accept-Language" doc:"As browsers send it"`
}

// privacyReply is the privacy policy in words: what the page prints.
type privacyReply struct {
	Language   string             `json:"language"`
	Title      string             `json:"title"`
	Intro      string             `json:"introduction"`
	Controller policyParty        `json:"controller"`
	Processor  policyParty        `json:"processor"`
	When       string             `json:"when" doc:"When positions are accepted"`
	Collected  []collectedReply   `json:"collected" nullable:"false" doc:"Every field of a position that is stored"`
	Kept       []keptReply        `json:"kept" nullable:"false"`
	Recipients []string           `json:"recipients" nullable:"false"`
	Security   []string           `json:"security" nullable:"false" doc:"What is true of the running installation"`
	Rights     []policyRightReply `json:"rights" nullable:"false"`
	Assessment assessmentReply    `json:"impact_assessment"`
	Notice     *noticeReply       `json:"notice" doc:"The tenant's newest; null: none was published"`
}

type policyParty struct {
	Name    *string `json:"name" doc:"null: not said"`
	Contact *string `json:"contact"`
	Text    string  `json:"text"`
}

type collectedReply struct {
	Field    string `json:"field" doc:"As on the wire"`
	What     string `json:"what"`
	Why      string `json:"why"`
	OnPolicy bool   `json:"only_on_policy" doc:"Stored only where the mission's policy says so"`
}

type keptReply struct {
	Class  session.Class `json:"class"`
	What   string        `json:"what"`
	Until  string        `json:"until"`
	Sealed bool          `json:"sealed" doc:"Stored encrypted"`
}

type policyRightReply struct {
	Right string `json:"right"`
	How   string `json:"how"`
}

type assessmentReply struct {
	Text  string   `json:"text"`
	Facts []string `json:"facts" nullable:"false"`
}

func (s *Server) getPolicy(ctx context.Context, r *request[policyParams, none]) (*privacyReply, error) {
	p, err := s.service.PrivacyPolicy(ctx, r.Principal)
	if err != nil {
		return nil, err
	}
	return newPrivacyReply(p, pickLanguage(r.Params.Language, r.Params.Accept)), nil
}

// newPrivacyReply puts a policy into words.
func newPrivacyReply(p *session.PrivacyPolicy, language string) *privacyReply {
	text, facts := policyTexts[language], policyFacts(p)
	all := func(texts []string) []string {
		filled := make([]string, len(texts))
		for i, t := range texts {
			filled[i] = facts.Replace(t)
		}
		return filled
	}
	reply := &privacyReply{
		Language: language, Title: text.Title, Intro: text.Intro, When: facts.Replace(text.When),
		Controller: controllerOf(p, text), Processor: processorOf(p, text, facts),
		Recipients: all(text.Recipients),
		Assessment: assessmentReply{Text: text.Assessment, Facts: all(text.Facts)},
	}
	for _, f := range p.Fields {
		words := text.Fields[f.Name]
		reply.Collected = append(reply.Collected, collectedReply{f.Name, words.What, words.Text, f.OnPolicy})
	}
	for _, class := range p.Classes {
		words := text.Classes[class.Class]
		reply.Kept = append(reply.Kept, keptReply{class.Class, words.What, facts.Replace(words.Text), class.Sealed})
	}
	for _, claim := range text.Claims {
		if claim.holds(p.Installation) {
			reply.Security = append(reply.Security, facts.Replace(claim.text))
		}
	}
	for _, right := range text.Rights {
		reply.Rights = append(reply.Rights, policyRightReply{right.What, facts.Replace(right.Text)})
	}
	if p.Notice != nil {
		reply.Notice = newNoticeReply(*p.Notice)
	}
	return reply
}

func controllerOf(p *session.PrivacyPolicy, text *policyText) policyParty {
	switch {
	case p.Tenant == "":
		return policyParty{Text: text.General}
	case p.Notice == nil:
		return policyParty{Text: text.NoController}
	case p.Notice.Controller == "":
		return policyParty{Text: p.Notice.Text}
	}
	return policyParty{Name: &p.Notice.Controller, Text: p.Notice.Controller}
}

func processorOf(p *session.PrivacyPolicy, text *policyText, facts *strings.Replacer) policyParty {
	party := policyParty{Name: orNull(p.Installation.Operator), Contact: orNull(p.Installation.Contact)}
	who, where := text.Processor, text.Contact
	if party.Name == nil {
		who = text.NoProcessor
	}
	if party.Contact == nil {
		where = text.NoContact
	}
	party.Text = facts.Replace(who + " " + where)
	return party
}

//go:embed policy.html
var policyHTML string

var policyPage = template.Must(template.New("policy").Parse(policyHTML))

// printPolicy is what the page may load: its own script and style, and the
// tenant's policy from this server.
const printPolicy = "default-src 'none'; script-src 'nonce-" + nonceMark + "'; style-src 'nonce-" + nonceMark + "'; connect-src 'self'; " +
	"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// servePolicy prints the policy of the installation. Opened as /policy#<agent
// token>, the page fetches what the agent's tenant has published besides.
func (s *Server) servePolicy(w http.ResponseWriter, r *http.Request) {
	language := pickLanguage(r.URL.Query().Get("lang"), r.Header.Get("Accept-Language"))
	other := map[string]string{"en": "fr", "fr": "en"}[language]
	nonce := rand.Text()
	var page bytes.Buffer
	err := policyPage.Execute(&page, struct {
		*privacyReply
		H            *policyHeadings
		Parts        []session.NoticePart
		Nonce, Other string
	}{newPrivacyReply(s.service.GeneralPolicy(), language), &policyTexts[language].Headings, new(session.Notice).Parts(), nonce, other})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", strings.ReplaceAll(printPolicy, nonceMark, nonce))
	h.Set("Content-Language", language)
	h.Set("Vary", "Accept-Language")
	writePage(w, page.Bytes())
}
