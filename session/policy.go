package session

import (
	"context"
	"errors"
	"slices"
	"time"
)

// PrivacyPolicy is what people whose data is kept are to know: facts out of the running
// configuration, the tenant's settings and the tables by which the code works.
// What it says in words is for package web.
type PrivacyPolicy struct {
	Tenant       string // "": of the installation, without anything of a tenant
	Installation Installation
	Notice       *Notice // the tenant's newest; nil: none was published
	Fields       []StoredField
	Classes      []DataClass // what concerns people
	Terms        Terms
}

// Installation is what a node's configuration says of the whole installation.
type Installation struct {
	Operator string // who runs it; "": not said
	Contact  string // where people can write to them; "": not said
	// HTTPS: browsers and phones reach it by TLS alone.
	HTTPS bool
	// Private: between the nodes, the database and the keyring nothing leaves a
	// machine unencrypted.
	Private bool
	// KeysApart: the keys are in another place than the data, so that a backup of
	// one does not open the other.
	KeysApart bool
}

// StoredField is a member of a position that is stored.
type StoredField struct {
	Name     string // as on the wire
	OnPolicy bool   // only where the mission's policy says so
}

// StoredFields returns what of a position is stored, in the order of its binary
// form.
func StoredFields() []StoredField {
	return []StoredField{
		{"timestamp", false}, {"latitude", false}, {"longitude", false}, {"accuracy", false}, {"altitude", false},
		{"heading", false}, {"speed", true}, {"battery", false}, {"mock", false},
	}
}

// policyClasses returns the classes of what is stored that concern people.
func policyClasses() []DataClass {
	return slices.DeleteFunc(DataClasses(), func(c DataClass) bool { return c.Class == ClassInstallation })
}

// Terms are for how long and how often.
type Terms struct {
	RetentionDays    int // of a track, unless the mission says otherwise
	MaxRetentionDays int
	MaxProofDays     int // for the purpose of proof
	RecordMonths     int // until the record of a mission that is over names nobody
	AccessMonths     int // of the access log
	TombstoneDays    int // for which whoever was erased is erased again from what is restored
	RequestDays      int // for which an agent may have their part of a track kept, at a time
	KeyBackupDays    int // for which copies of the keyring may be kept
	Receipts         time.Duration
	Interval         time.Duration // at most one position is kept in it, unless the mission says otherwise
	MissionMost      time.Duration // the longest that anybody is located without a pause
	LinkGrace        time.Duration // links outlive the mission's deadline by it, to say that it is over
}

// GeneralPolicy returns the privacy policy of the installation, without anything of a
// tenant.
func (s *Service) GeneralPolicy() *PrivacyPolicy {
	usual := DefaultPolicy()
	return &PrivacyPolicy{
		Installation: s.Installation, Fields: StoredFields(), Classes: policyClasses(),
		Terms: Terms{
			RetentionDays: usual.RetentionDays, MaxRetentionDays: maxRetention, MaxProofDays: maxRetentionProof,
			RecordMonths: DefaultMissionTerm, AccessMonths: AccessMonths, Receipts: ReceiptLife,
			TombstoneDays: int(TombstoneLife / (24 * time.Hour)), KeyBackupDays: KeyBackupDays, RequestDays: int(MaxRequest / (24 * time.Hour)),
			Interval: usual.MinInterval, MissionMost: MaxDuration, LinkGrace: tokenGrace,
		},
	}
}

// PrivacyPolicy returns the privacy policy of the caller's tenant.
func (s *Service) PrivacyPolicy(ctx context.Context, p *Principal) (*PrivacyPolicy, error) {
	policy := s.GeneralPolicy()
	policy.Tenant = p.Tenant
	n, err := s.Store.Notice(ctx, p.Tenant)
	switch {
	case err == nil:
		policy.Notice = &n
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	policy.Terms.RecordMonths, err = s.Store.MissionTerm(ctx, p.Tenant)
	if err != nil {
		return nil, err
	}
	return policy, nil
}
