package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Service carries out what principals ask for: it joins the rules to the
// store, the sealing and the tokens. Its fields are set once, before use.
type Service struct {
	Store  Store
	Sealer *Sealer
	Tokens *Tokens
	Log    *slog.Logger
	// Access joins what is recorded at the same time into one transaction. Without
	// it each row has one of its own.
	Access *AccessWriter
	// Changed is told of every mission right after a change of it was stored.
	// It must not block.
	Changed func(*Mission)
}

// tokenGrace is how long a link and an agent token outlive the end that is
// possible when they are made: long enough to be told that the mission is over.
const tokenGrace = time.Hour

// maxAdvance is how far ahead a mission may be planned.
const maxAdvance = 366 * 24 * time.Hour

// CreateMission validates and stores a new mission of the caller's tenant.
// It returns ErrInvalid naming the member at fault, or ErrForbidden.
func (s *Service) CreateMission(ctx context.Context, p *Principal, m *Mission) error {
	if err := s.PrepareMission(ctx, p, m); err != nil {
		return err
	}
	return s.Store.CreateMission(ctx, m)
}

// PrepareMission is CreateMission up to the storing.
func (s *Service) PrepareMission(ctx context.Context, p *Principal, m *Mission) error {
	if p.Role != Platform && p.Role != Operator {
		return ErrForbidden
	}
	m.Tenant, m.State = p.Tenant, Scheduled
	if m.ID == uuid.Nil {
		m.ID = NewID()
	}
	for i := range m.Agents {
		if m.Agents[i].Alias == "" {
			m.Agents[i].Alias = m.freeAlias(i + 1)
		}
	}
	m.StartsAt, m.EndsAt = Millis(m.StartsAt), Millis(m.EndsAt)
	m.setDeadline()
	if err := m.Validate(); err != nil {
		return err
	}
	now, err := s.Store.Now(ctx)
	if err != nil {
		return err
	}
	if !m.Deadline.After(now) {
		return ErrInvalid.At("ends_at").Because("plus the overrun lies in the past")
	}
	if m.StartsAt.After(now.Add(maxAdvance)) {
		return ErrInvalid.At("starts_at").Because("must lie within a year from now")
	}
	return nil
}

// Mission returns a mission as it stands at the store's time: settled, if its
// deadline has passed.
func (s *Service) Mission(ctx context.Context, tenant string, id uuid.UUID) (*Mission, error) {
	m, err := s.Store.Mission(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	m.Settle(m.ReadAt)
	return m, nil
}

// Missions lists the missions of a tenant that f selects, newest first, as they
// stand at the store's time, beginning after the id given (zero: at the newest).
// ErrInvalid for a filter that is not valid.
func (s *Service) Missions(ctx context.Context, tenant string, f MissionFilter, after uuid.UUID, limit int) ([]*Mission, error) {
	f.From, f.To = Millis(f.From), Millis(f.To)
	if err := f.Validate(); err != nil {
		return nil, err
	}
	list, err := s.Store.Missions(ctx, tenant, f, after, limit)
	for _, m := range list {
		m.Settle(m.ReadAt)
	}
	return list, err
}

// CommandError says which of the commands given to Service.Do was refused.
type CommandError struct {
	Index int
	Err   error
}

func (e *CommandError) Error() string { return e.Err.Error() }

// Unwrap returns why the command was refused.
func (e *CommandError) Unwrap() error { return e.Err }

// Do carries out commands on a mission on behalf of p, which is recorded as
// their author: all of them, in their order and in one transaction, or none.
// Errors are those of Mission.Apply, as a CommandError, and those of
// Store.UpdateMission.
func (s *Service) Do(ctx context.Context, p *Principal, id uuid.UUID, commands ...Command) (*Mission, error) {
	if p.Role == AgentRole && id != p.Mission {
		return nil, ErrNotFound
	}
	apply := func(m *Mission) error {
		for i, c := range commands {
			c.By, c.Subject = p.Role.Reason(), p.Subject
			if p.Role == AgentRole {
				c.Agent = p.Agent
			}
			if c.Agent != "" {
				c.Pseudonym = s.Pseudonym(p.Tenant, c.Agent)
			}
			if err := m.Apply(c, m.ReadAt); err != nil {
				return &CommandError{i, err}
			}
		}
		return nil
	}
	m, err := s.Store.UpdateMission(ctx, p.Tenant, id, apply)
	if errors.Is(err, ErrLocated) {
		// The other mission may be past its deadline and merely not closed yet.
		if _, err := s.CloseDue(ctx); err != nil {
			return nil, err
		}
		m, err = s.Store.UpdateMission(ctx, p.Tenant, id, apply)
	}
	if err != nil {
		return nil, err
	}
	s.changed(m)
	return m, nil
}

func (s *Service) changed(m *Mission) {
	if s.Changed != nil {
		s.Changed(m)
	}
}

// CloseDue ends the missions whose deadline has passed, one by one, and
// returns how many. It is safe on all nodes at once.
func (s *Service) CloseDue(ctx context.Context) (int, error) {
	closed := 0
	for {
		due, err := s.Store.Due(ctx, 100)
		if err != nil || len(due) == 0 {
			return closed, err
		}
		var failed error // one that cannot be closed now holds up no other
		for _, ref := range due {
			m, err := s.Store.UpdateMission(ctx, ref.Tenant, ref.ID, func(m *Mission) error {
				m.Settle(m.ReadAt)
				return nil
			})
			switch {
			case err == nil:
				closed++
				s.changed(m)
			case !errors.Is(err, ErrNotFound):
				failed = errors.Join(failed, err)
			}
		}
		if failed != nil {
			return closed, fmt.Errorf("close missions past their deadline: %w", failed)
		}
	}
}

// Append seals and appends a batch: see Store.Append. It never waits for the
// keyring, because every mission of the batch would wait with it: the pings of a
// begun mission whose key is not in memory come back Unsealed. Have Sealer.Key
// fetch it before, where nobody else waits.
func (s *Service) Append(ctx context.Context, batch []*Submission) error {
	for _, sub := range batch {
		if key := s.Sealer.Cached(sub.ID); key != nil {
			key.SealAll(sub)
		}
	}
	return s.Store.Append(ctx, batch)
}

// IssueAgentToken returns a token with which the agent's phone opens its
// socket, and when it expires. ErrNotFound for an agent who is not on the
// mission, ErrState for a mission that is over.
func (s *Service) IssueAgentToken(ctx context.Context, p *Principal, id uuid.UUID, agent string) (string, time.Time, error) {
	m, err := s.Mission(ctx, p.Tenant, id)
	if err != nil {
		return "", time.Time{}, err
	}
	a := m.Agent(agent)
	if a == nil || a.Relieved {
		return "", time.Time{}, ErrNotFound
	}
	if m.State.Over() {
		return "", time.Time{}, ErrState.Because("the mission is over")
	}
	// The mission may still be extended, and a phone must not be thrown out then:
	// what ends its right is the mission's state, not the token.
	expires := m.StartsAt.Add(MaxDuration + tokenGrace)
	token, err := s.Tokens.Issue(ctx, Principal{
		Role: AgentRole, Tenant: p.Tenant, Subject: NewID(), Mission: id, Agent: agent,
		Issued: m.ReadAt, Expires: expires,
	})
	return token, expires, err
}

// CreateLink makes a link to a mission and returns it with its token. The
// link expires with the mission's deadline and a grace at the latest; a zero
// ExpiresAt asks for that. ErrState for a mission that is over.
func (s *Service) CreateLink(ctx context.Context, p *Principal, l Link) (Link, string, error) {
	l, token, err := s.PrepareLink(ctx, p, l)
	if err != nil {
		return Link{}, "", err
	}
	return l, token, s.Store.CreateLink(ctx, l)
}

// PrepareLink is CreateLink up to the storing.
func (s *Service) PrepareLink(ctx context.Context, p *Principal, l Link) (Link, string, error) {
	m, err := s.Mission(ctx, p.Tenant, l.Mission)
	if err != nil {
		return Link{}, "", err
	}
	if m.State.Over() {
		return Link{}, "", ErrState.Because("the mission is over")
	}
	l.ID, l.Tenant, l.CreatedAt = NewID(), p.Tenant, m.ReadAt
	if latest := m.Deadline.Add(tokenGrace); l.ExpiresAt.IsZero() || l.ExpiresAt.After(latest) {
		l.ExpiresAt = latest
	}
	l.ExpiresAt = Millis(l.ExpiresAt)
	if l.Label != "" {
		if err := validText("label", l.Label); err != nil {
			return Link{}, "", err
		}
	}
	token, err := s.Tokens.Issue(ctx, Principal{
		Role: Viewer, Tenant: p.Tenant, Subject: l.ID, Mission: l.Mission, View: l.View,
		Viewers: l.MaxViewers, Issued: m.ReadAt, Expires: l.ExpiresAt,
	})
	if err != nil {
		return Link{}, "", err
	}
	return l, token, nil
}

// RevokeLink revokes a link: its viewers are disconnected everywhere.
func (s *Service) RevokeLink(ctx context.Context, p *Principal, id uuid.UUID) error {
	mission, err := s.Store.RevokeLink(ctx, p.Tenant, id)
	if err != nil {
		return err
	}
	m, err := s.Store.Mission(ctx, p.Tenant, mission)
	if err != nil {
		return err
	}
	s.changed(m)
	return nil
}

// AuthenticateKey returns the principal of a printed API key. ErrToken for one
// that is malformed, unknown or wrong, ErrRevoked for a revoked one.
func (s *Service) AuthenticateKey(ctx context.Context, printed string) (*Principal, error) {
	id, hash, err := ParseAPIKey(printed)
	if err != nil {
		return nil, ErrToken
	}
	k, err := s.Store.APIKey(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, ErrToken
	}
	if err != nil {
		return nil, err
	}
	switch {
	case !k.Matches(hash):
		return nil, ErrToken
	case !k.RevokedAt.IsZero():
		return nil, ErrRevoked
	}
	return &Principal{Role: k.Role, Tenant: k.Tenant, Subject: k.ID}, nil
}

// Fix is one stored position, opened.
type Fix struct {
	Row
	Ping
}

// Track returns stored fixes of a mission in order of time, beginning after
// the cursor, at most limit. ErrGone once the track has expired.
func (s *Service) Track(ctx context.Context, m *Mission, after Cursor, limit int) ([]Fix, error) {
	return s.open(ctx, m, func() ([]Row, error) { return s.Store.Track(ctx, m.Tenant, m.ID, after, limit) })
}

// AgentTrack returns of a track what is the agent's; all of it for no agent.
func (s *Service) AgentTrack(ctx context.Context, m *Mission, agent string, after Cursor, limit int) ([]Fix, error) {
	return s.open(ctx, m, func() ([]Row, error) { return s.Store.AgentTrack(ctx, m.Tenant, m.ID, agent, after, limit) })
}

// open reads and opens positions of a mission. The key comes first: what is gone
// is not even read.
func (s *Service) open(ctx context.Context, m *Mission, read func() ([]Row, error)) ([]Fix, error) {
	if m.ExpiresOn == 0 {
		return nil, nil
	}
	key, err := s.Sealer.Key(ctx, m)
	if err != nil {
		return nil, err
	}
	rows, err := read()
	if err != nil {
		return nil, err
	}
	return openRows(key, rows)
}

func openRows(key *TrackKey, rows []Row) (fixes []Fix, err error) {
	fixes = make([]Fix, len(rows))
	for i, row := range rows {
		fixes[i].Row = row
		if fixes[i].Ping, err = key.Open(row.Agent, row.Slot, row.Sealed); err != nil {
			return nil, fmt.Errorf("open stored position: %w", err)
		}
	}
	return fixes, nil
}
