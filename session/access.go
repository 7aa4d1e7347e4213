package session

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Access is one line of the access log: who did what, when and why. It names
// agents by pseudonym, and never holds a coordinate or a token. Its form in JSON is
// that of an exported log.
type Access struct {
	ID      uuid.UUID    `json:"id"`      // set by the store if zero
	At      time.Time    `json:"at"`      // set by the store, from its clock
	Tenant  string       `json:"tenant"`  // "": what concerns the whole installation
	Role    Role         `json:"role"`    // who; "": Ronde itself, at a deadline or in a sweep
	Subject uuid.UUID    `json:"subject"` // the API key, agent token or link; zero for Ronde itself
	Action  AccessAction `json:"action"`  // what
	Mission uuid.UUID    `json:"mission"` // zero: none
	Agent   string       `json:"agent"`   // Service.Pseudonym of the agent concerned or acting; "": none
	Object  uuid.UUID    `json:"object"`  // the link, hold or API key concerned; zero: none
	Why     string       `json:"why"`     // the reason given, where one is required

	// Set by AccessKey.Authenticate, and not read with AccessLog:

	Salt []byte `json:"salt"`
	MAC  []byte `json:"mac"`
}

// AccessMonths is for how many months a row of the access log is kept.
const AccessMonths = 12

// AccessSaltSize is the size of a row's random salt, in bytes.
const AccessSaltSize = 16

// AccessAction names what was done, in the access log.
type AccessAction string

// What is recorded. A read is recorded before its first byte goes out, a change
// with the change or before it.
const (
	// Of missions, in the transaction of the change: see Mission.Log.
	AccessBegin          AccessAction = "mission.begin"
	AccessPause          AccessAction = "mission.pause"
	AccessResume         AccessAction = "mission.resume"
	AccessEnd            AccessAction = "mission.end"
	AccessCancel         AccessAction = "mission.cancel"
	AccessExtend         AccessAction = "mission.extend"
	AccessDeadline       AccessAction = "mission.deadline" // ended by it
	AccessMissed         AccessAction = "mission.missed"   // ended by it, never begun
	AccessAgentAdd       AccessAction = "agent.add"
	AccessAgentRelieve   AccessAction = "agent.relieve"
	AccessAgentPause     AccessAction = "agent.pause"
	AccessAgentResume    AccessAction = "agent.resume"
	AccessTokenRevoke    AccessAction = "token.revoke"
	AccessSOSRaise       AccessAction = "sos.raise"
	AccessSOSWithdraw    AccessAction = "sos.withdraw"
	AccessSOSAcknowledge AccessAction = "sos.acknowledge"
	AccessSOSClose       AccessAction = "sos.close"

	// Of what is known of missions and their agents.
	AccessMissionCreate AccessAction = "mission.create"
	AccessProgressRead  AccessAction = "progress.read"
	AccessTrackRead     AccessAction = "track.read"
	AccessReportRead    AccessAction = "report.read"
	AccessArchiveRead   AccessAction = "archive.read" // of a held track
	AccessLiveOpen      AccessAction = "live.open"    // a viewer's socket or event stream
	AccessLiveClose     AccessAction = "live.close"
	AccessTokenIssue    AccessAction = "token.issue"
	AccessLinkCreate    AccessAction = "link.create"
	AccessLinkRevoke    AccessAction = "link.revoke"

	// Of people's rights and of deletion.
	AccessAgentExport    AccessAction = "agent.export"
	AccessAgentLedger    AccessAction = "agent.ledger"
	AccessAgentErase     AccessAction = "agent.erase"
	AccessHoldSet        AccessAction = "hold.set"
	AccessHoldRelease    AccessAction = "hold.release"
	AccessRetentionSweep AccessAction = "retention.sweep"
	AccessRetentionTerm  AccessAction = "retention.term" // of a tenant's mission records
	AccessTenantClose    AccessAction = "tenant.close"

	// Of the installation and a tenant's own affairs.
	AccessLogRead       AccessAction = "log.read"
	AccessLogExport     AccessAction = "log.export"
	AccessNoticePublish AccessAction = "notice.publish"
	AccessNoticeAccept  AccessAction = "notice.acknowledge"
	AccessKeyCreate     AccessAction = "apikey.create"
	AccessKeyRevoke     AccessAction = "apikey.revoke"
	AccessKeysRotate    AccessAction = "keys.rotate"
	AccessKeysDestroy   AccessAction = "keys.destroy"
)

// accessActions are all there are.
var accessActions = []AccessAction{
	AccessBegin, AccessPause, AccessResume, AccessEnd, AccessCancel, AccessExtend, AccessDeadline, AccessMissed,
	AccessAgentAdd, AccessAgentRelieve, AccessAgentPause, AccessAgentResume, AccessTokenRevoke,
	AccessSOSRaise, AccessSOSWithdraw, AccessSOSAcknowledge, AccessSOSClose,
	AccessMissionCreate, AccessProgressRead, AccessTrackRead, AccessReportRead,
	AccessArchiveRead, AccessLiveOpen, AccessLiveClose, AccessTokenIssue, AccessLinkCreate, AccessLinkRevoke,
	AccessAgentExport, AccessAgentLedger, AccessAgentErase, AccessHoldSet, AccessHoldRelease,
	AccessRetentionSweep, AccessRetentionTerm, AccessTenantClose,
	AccessLogRead, AccessLogExport, AccessNoticePublish, AccessNoticeAccept,
	AccessKeyCreate, AccessKeyRevoke, AccessKeysRotate, AccessKeysDestroy,
}

// recorded says under which name the access log has a command.
var recorded = map[Action]AccessAction{
	Begin: AccessBegin, Pause: AccessPause, Resume: AccessResume, End: AccessEnd, Cancel: AccessCancel, Extend: AccessExtend,
	PauseAgent: AccessAgentPause, ResumeAgent: AccessAgentResume, AddAgent: AccessAgentAdd, Relieve: AccessAgentRelieve,
	RevokeTokens: AccessTokenRevoke,
	RaiseSOS:     AccessSOSRaise, WithdrawSOS: AccessSOSWithdraw, AcknowledgeSOS: AccessSOSAcknowledge, CloseSOS: AccessSOSClose,
}

// AccessFilter selects lines of a tenant's access log. The zero AccessFilter
// selects all.
type AccessFilter struct {
	Mission  uuid.UUID      // zero: of any, or none
	Agent    string         // a pseudonym; "": any, or none
	Actions  []AccessAction // nil: any
	From, To time.Time      // At lies in [From, To); a zero one leaves its side open
	Newest   bool           // the newest first
}

// Validate returns ErrInvalid, naming the member, for a filter that can select
// nothing.
func (f *AccessFilter) Validate() error {
	for _, a := range f.Actions {
		if !slices.Contains(accessActions, a) {
			return ErrInvalid.At("action").Because("is none that the access log records")
		}
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.To.After(f.From) {
		return ErrInvalid.At("to").Because("must lie after from")
	}
	return nil
}

// AccessLog lists the rows of a tenant's access log that f selects, beginning
// after the id given: see Store.AccessLog. ErrInvalid for a filter that is not
// valid.
func (s *Service) AccessLog(ctx context.Context, tenant string, f AccessFilter, after uuid.UUID, limit int) ([]LoggedAccess, error) {
	f.From, f.To = Millis(f.From), Millis(f.To)
	if err := f.Validate(); err != nil {
		return nil, err
	}
	return s.Store.AccessLog(ctx, tenant, f, after, limit)
}

// Pseudonym returns the name that the access log has for an agent of a tenant:
// 32 hexadecimal digits, always the same, of which nobody without the root
// secret can tell who it is or even whether two tenants mean the same person.
// Without a root secret it is "".
func (s *Service) Pseudonym(tenant, agent string) string {
	key, err := s.Sealer.root.Derive(nil, "ronde pseudonym v1", tenant)
	if err != nil {
		return "" // which tells nothing of anybody
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(agent))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
