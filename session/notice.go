package session

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// PublishNotice publishes the next version of the tenant's privacy notice. It
// returns ErrInvalid for a text that is empty, too long or not plain.
func (s *Service) PublishNotice(ctx context.Context, p *Principal, text string) (Notice, error) {
	if err := validNotice(text); err != nil {
		return Notice{}, err
	}
	return s.Store.PublishNotice(ctx, p.Tenant, text)
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

// validNotice accepts what a person can read on several lines: what validText
// accepts, and line breaks and tabs.
func validNotice(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return ErrInvalid.At("text").Because("is required")
	case !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxNotice:
		return ErrInvalid.At("text").Because("must be UTF-8 of at most %d characters", maxNotice)
	case strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Cf, r)
	}):
		return ErrInvalid.At("text").Because("must not contain control or formatting characters but line breaks and tabs")
	}
	return nil
}
