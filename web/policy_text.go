package web

import (
	"strconv"
	"strings"

	"ronde/session"
)

// policyText is the privacy policy in one language. Names in braces stand for
// facts, which every text may use: see policyFacts.
type policyText struct {
	Title, Intro           string
	Headings               policyHeadings
	NoController, General  string // instead of a notice: of a tenant without one, and of no tenant
	Processor, NoProcessor string
	Contact, NoContact     string
	When                   string
	Fields                 map[string]policyField // by StoredField.Name
	Classes                map[session.Class]policyField
	Recipients             []string
	Claims                 []policyClaim
	Rights                 []policyField
	Assessment             string
	Facts                  []string
}

type policyHeadings struct {
	Controller, Collected, Kept, Recipients, Security, Rights, Assessment, Notice string
	Field, Why, Class, Until, Form, Sealed, Clear, Language, Version              string
	Parts                                                                         map[string]string // by NoticePart.Member
}

// policyField is a thing and what is to be said of it.
type policyField struct{ What, Text string }

// policyClaim is a sentence that is true under a condition.
type policyClaim struct {
	holds func(session.Installation) bool
	text  string
}

func always(session.Installation) bool          { return true }
func whenHTTPS(i session.Installation) bool     { return i.HTTPS }
func unlessHTTPS(i session.Installation) bool   { return !i.HTTPS }
func whenPrivate(i session.Installation) bool   { return i.Private }
func unlessPrivate(i session.Installation) bool { return !i.Private }
func whenApart(i session.Installation) bool     { return i.KeysApart }
func unlessApart(i session.Installation) bool   { return !i.KeysApart }

// policyTexts holds the policy by language.
var policyTexts = map[string]*policyText{"en": &policyEN, "fr": &policyFR}

// policyFacts returns what puts the facts of a policy into a text.
func policyFacts(p *session.PrivacyPolicy) *strings.Replacer {
	t := p.Terms
	return strings.NewReplacer(
		"{operator}", p.Installation.Operator, "{contact}", p.Installation.Contact,
		"{retention_days}", strconv.Itoa(t.RetentionDays), "{max_days}", strconv.Itoa(t.MaxRetentionDays),
		"{proof_days}", strconv.Itoa(t.MaxProofDays), "{record_months}", strconv.Itoa(t.RecordMonths),
		"{access_months}", strconv.Itoa(t.AccessMonths), "{receipt_hours}", decimal(t.Receipts.Hours()),
		"{interval_seconds}", decimal(t.Interval.Seconds()), "{mission_hours}", decimal(t.MissionMost.Hours()),
		"{tombstone_days}", strconv.Itoa(t.TombstoneDays), "{key_days}", strconv.Itoa(t.KeyBackupDays),
		"{request_days}", strconv.Itoa(t.RequestDays),
		"{grace_minutes}", decimal(t.LinkGrace.Minutes()),
	)
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// pickLanguage returns the language to answer in: the one asked for, else the
// first of Accept-Language that there is, else English.
func pickLanguage(asked, accept string) string {
	if policyTexts[asked] != nil {
		return asked
	}
	best, weight := "en", 0.0
	for part := range strings.SplitSeq(accept, ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		language, _, _ := strings.Cut(strings.ToLower(tag), "-")
		q := 1.0
		if value, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			if parsed, err := strconv.ParseFloat(value, 64); err == nil {
				q = parsed
			}
		}
		if policyTexts[language] != nil && q > weight {
			best, weight = language, q
		}
	}
	return best
}
