package session

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Notice is a version of a tenant's privacy notice: in parts, as free text, or
// both. The tenant is who answers for what it says.
type Notice struct {
	Version     int // from 1
	PublishedAt time.Time
	// Text is what agents read. A notice that was published in parts alone has
	// them in it, one below the other.
	Text       string
	Controller string // who decides over the data, and how to reach them
	Purpose    string // what agents are located for
	LegalBasis string // GDPR, article 6
	Recipients string // who sees or receives the data
	Retention  string // for how long it is kept
	Rights     string // what agents may ask for, of whom, and to whom they may complain
}

// NoticePart is one part of a notice.
type NoticePart struct {
	Member string // "controller", as in the API
	Title  string // what stands above it in a text
	Value  *string
}

// Parts returns the parts of a notice, in the order in which they are read.
func (n *Notice) Parts() []NoticePart {
	return []NoticePart{
		{"controller", "Responsable du traitement / Controller", &n.Controller},
		{"purpose", "Finalité / Purpose", &n.Purpose},
		{"legal_basis", "Base légale / Legal basis", &n.LegalBasis},
		{"recipients", "Destinataires / Recipients", &n.Recipients},
		{"retention", "Durée de conservation / Retention", &n.Retention},
		{"rights", "Droits / Rights", &n.Rights},
	}
}

// compose returns the parts as one text.
func (n *Notice) compose() string {
	var parts []string
	for _, p := range n.Parts() {
		if *p.Value != "" {
			parts = append(parts, p.Title+"\n"+*p.Value)
		}
	}
	return strings.Join(parts, "\n\n")
}

// PublishNotice publishes the next version of the tenant's privacy notice. It
// returns ErrInvalid for one without a text that is not in all its parts, and for
// one that is too long or not plain.
func (s *Service) PublishNotice(ctx context.Context, p *Principal, n Notice) (Notice, error) {
	if err := n.complete(); err != nil {
		return Notice{}, err
	}
	return s.Store.PublishNotice(ctx, p.Tenant, n)
}

// complete validates a notice and gives it its text.
func (n *Notice) complete() error {
	parts := n.Parts()
	inParts := n.Text == "" && n.compose() != ""
	for _, p := range parts {
		if !inParts && *p.Value == "" {
			continue
		}
		if err := validProse(p.Member, *p.Value); err != nil {
			return err
		}
	}
	if !inParts {
		return validProse("text", n.Text)
	}
	text := n.compose()
	if utf8.RuneCountInString(text) > maxNotice {
		return ErrInvalid.At("text").Because("composed of the parts must be at most %d characters", maxNotice)
	}
	n.Text = text
	return nil
}

// AcknowledgeNotice records that an agent acknowledged a version of the
// tenant's notice. It returns ErrNotFound for what can be no agent, ErrInvalid
// for a version that was never published.
func (s *Service) AcknowledgeNotice(ctx context.Context, p *Principal, agent string, version int) error {
	if !agentName.MatchString(agent) {
		return ErrNotFound
	}
	err := s.Store.Acknowledge(ctx, p.Tenant, agent, version)
	if errors.Is(err, ErrNotFound) {
		return ErrInvalid.At("version").Because("was never published")
	}
	return err
}

// maxNotice is the longest privacy notice, in characters.
const maxNotice = 20_000

// validProse accepts what a person can read on several lines: what validText
// accepts, and line breaks and tabs.
func validProse(field, text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return ErrInvalid.At(field).Because("is required")
	case !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxNotice:
		return ErrInvalid.At(field).Because("must be UTF-8 of at most %d characters", maxNotice)
	case strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Cf, r)
	}):
		return ErrInvalid.At(field).Because("must not contain control or formatting characters but line breaks and tabs")
	}
	return nil
}
