package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Access is one line of the access log: who did what, when and why. It names
// agents by pseudonym, and never holds a coordinate or a token.
type Access struct {
	ID      uuid.UUID    // set by the store if zero
	At      time.Time    // set by the store, from its clock
	Tenant  string       // "": what concerns the whole installation
	Role    Role         // who; "": Ronde itself, at a deadline or in a sweep
	Subject uuid.UUID    // the API key, agent token or link; zero for Ronde itself
	Action  AccessAction // what
	Mission uuid.UUID    // zero: none
	Agent   string       // Service.Pseudonym of the agent concerned or acting; "": none
	Object  uuid.UUID    // the link, hold, API key or webhook concerned; zero: none
	Why     string       // the reason given, where one is required

	// Set by AccessKey.Authenticate, and not read with AccessLog:

	Salt []byte
	MAC  []byte
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
	AccessMissionRead   AccessAction = "mission.read"
	AccessMissionList   AccessAction = "mission.list"
	AccessProgressRead  AccessAction = "progress.read"
	AccessTrackRead     AccessAction = "track.read"
	AccessReportRead    AccessAction = "report.read"
	AccessArchiveRead   AccessAction = "archive.read" // of a held track
	AccessLiveOpen      AccessAction = "live.open"    // a viewer's socket or event stream
	AccessLiveClose     AccessAction = "live.close"
	AccessAgentOpen     AccessAction = "agent.open" // an agent's own socket
	AccessAgentClose    AccessAction = "agent.close"
	AccessTokenIssue    AccessAction = "token.issue"
	AccessLinkCreate    AccessAction = "link.create"
	AccessLinkList      AccessAction = "link.list"
	AccessLinkRevoke    AccessAction = "link.revoke"

	// Of people's rights and of deletion.
	AccessAgentExport    AccessAction = "agent.export"
	AccessAgentLedger    AccessAction = "agent.ledger"
	AccessAgentErase     AccessAction = "agent.erase"
	AccessHoldSet        AccessAction = "hold.set"
	AccessHoldRelease    AccessAction = "hold.release"
	AccessHoldRead       AccessAction = "hold.read"
	AccessRetentionSweep AccessAction = "retention.sweep"
	AccessTenantClose    AccessAction = "tenant.close"

	// Of the installation and a tenant's own affairs.
	AccessLogRead       AccessAction = "log.read"
	AccessLogExport     AccessAction = "log.export"
	AccessPolicyRead    AccessAction = "policy.read"
	AccessNoticeRead    AccessAction = "notice.read"
	AccessNoticePublish AccessAction = "notice.publish"
	AccessNoticeAccept  AccessAction = "notice.acknowledge"
	AccessWebhookCreate AccessAction = "webhook.create"
	AccessWebhookList   AccessAction = "webhook.list"
	AccessWebhookDelete AccessAction = "webhook.delete"
	AccessKeyCreate     AccessAction = "apikey.create"
	AccessKeyList       AccessAction = "apikey.list"
	AccessKeyRevoke     AccessAction = "apikey.revoke"
	AccessKeysRotate    AccessAction = "keys.rotate"
	AccessKeysDestroy   AccessAction = "keys.destroy"
)

// AccessActions lists every action there is.
func AccessActions() []AccessAction {
	return []AccessAction{
		AccessBegin, AccessPause, AccessResume, AccessEnd, AccessCancel, AccessExtend, AccessDeadline, AccessMissed,
		AccessAgentAdd, AccessAgentRelieve, AccessAgentPause, AccessAgentResume, AccessTokenRevoke,
		AccessSOSRaise, AccessSOSWithdraw, AccessSOSAcknowledge, AccessSOSClose,
		AccessMissionCreate, AccessMissionRead, AccessMissionList, AccessProgressRead, AccessTrackRead, AccessReportRead,
		AccessArchiveRead, AccessLiveOpen, AccessLiveClose, AccessAgentOpen, AccessAgentClose, AccessTokenIssue,
		AccessLinkCreate, AccessLinkList, AccessLinkRevoke,
		AccessAgentExport, AccessAgentLedger, AccessAgentErase, AccessHoldSet, AccessHoldRelease, AccessHoldRead,
		AccessRetentionSweep, AccessTenantClose,
		AccessLogRead, AccessLogExport, AccessPolicyRead, AccessNoticeRead, AccessNoticePublish, AccessNoticeAccept,
		AccessWebhookCreate, AccessWebhookList, AccessWebhookDelete,
		AccessKeyCreate, AccessKeyList, AccessKeyRevoke, AccessKeysRotate, AccessKeysDestroy,
	}
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
	all := AccessActions()
	for _, a := range f.Actions {
		if !slices.Contains(all, a) {
			return ErrInvalid.At("action").Because("is none that the access log records")
		}
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.To.After(f.From) {
		return ErrInvalid.At("to").Because("must lie after from")
	}
	return nil
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
