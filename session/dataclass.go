package session

// Class is a kind of stored data that shares one limit.
type Class string

// The classes of what is stored, and of what Overdue counts besides.
const (
	ClassPositions       Class = "positions"        // the track
	ClassExcess          Class = "excess_positions" // beyond the newest that the policy keeps; counted alone
	ClassLocations       Class = "locations"        // latest position, saved progress
	ClassHeld            Class = "held_copies"
	ClassFacts           Class = "facts"
	ClassRecords         Class = "mission_records"
	ClassAcknowledgement Class = "acknowledgements"
	ClassReceipts        Class = "receipts"
	ClassAccessLog       Class = "access_log"
	ClassTenant          Class = "tenant"
	ClassInstallation    Class = "installation"
	ClassTombstones      Class = "tombstones" // in the keyring
	ClassSalts           Class = "salts"      // in the keyring; counted alone
	ClassHoldSalts       Class = "hold_salts" // likewise
)

// DataClass says of a class what it is, how long it lives and with what it goes.
type DataClass struct {
	Class      Class
	What       string
	Sealed     bool
	Limit      string // until when it lives
	ErasedWith string
}

// DataClasses is the table of what is kept, for how long.
func DataClasses() []DataClass {
	return []DataClass{
		{ClassPositions, "a mission's track", true, "the expiry day: that of the begin, in UTC, and the policy's retention", "mission, agent"},
		{ClassLocations, "the latest position of a mission without a track, and the state of progress", true, "the pause or the end of the mission", "mission, agent"},
		{ClassHeld, "the copy of a track that a hold preserves", true, "the release of the hold or its last day", "hold, agent"},
		{ClassFacts, "states, times and counts of a mission", false, "without limit, once the record names nobody", "tenant"},
		{ClassRecords, "what of a mission names somebody or a place: reference, site, checkpoints, agents, links, holds and their reasons", false, "the tenant's term after the mission is over, 12 months by default, and the end of its track and holds; then it is anonymous", "tenant"},
		{ClassAcknowledgement, "which version of the notice an agent acknowledged", false, "the tenant's term, and as long as a mission's record names the agent", "agent, tenant"},
		{ClassReceipts, "answers kept for an Idempotency-Key", true, "24 hours", "mission"},
		{ClassAccessLog, "who did what, when and why, by pseudonyms", false, "12 months", "nothing"},
		{ClassTombstones, "who was erased and when, so that no backup brings them back", true, "400 days", "nothing"},
		{ClassTenant, "a tenant's own settings, keys and notices, and who is about to be erased", false, "the tenant; the erasure", "tenant"},
		{ClassInstallation, "what belongs to no tenant and nobody", false, "the installation", "installation"},
	}
}

// ColumnClasses returns the class of every column of every table of both
// databases, as "table.column". One that only one of the two has is named too.
func ColumnClasses() map[string]Class {
	all := map[string]Class{}
	for class, tables := range map[Class]map[string][]string{
		ClassPositions: {"positions": {"expires_on", "mission", "agent", "slot", "at", "sealed"}},
		ClassLocations: {
			"latest":   {"tenant", "mission", "agent", "slot", "at", "sealed"},
			"progress": {"tenant", "mission", "agent", "opened", "at", "sealed"},
		},
		ClassHeld: {"archive": {"tenant", "hold", "agent", "slot", "at", "sealed"}},
		ClassFacts: {
			"missions": {
				"id", "tenant", "starts_at", "ends_at", "overrun_ms", "early_begin_ms", "track", "proof", "retention_days",
				"min_interval_ms", "max_points", "speed", "agent_controls", "state", "changed_by", "end_reason",
				"created_at", "began_at", "ended_at", "expires_on", "deadline", "revision", "anonymous_at",
			},
			"mission_agents": {"tenant", "mission", "ordinal", "place", "paused", "relieved", "sos", "tokens_after", "removed"},
			"windows":        {"tenant", "mission", "opened", "closed"},
			"refusals":       {"tenant", "mission", "reason", "count"},
		},
		ClassRecords: {
			"missions":       {"reference", "site", "site_name", "site_latitude", "site_longitude", "site_radius_m", "site_area", "checkpoints"},
			"mission_agents": {"agent", "alias"},
			"windows":        {"agent"},
			"refusals":       {"agent"},
			"links":          {"id", "tenant", "mission", "profile", "trail", "label", "max_viewers", "created_at", "expires_at", "revoked_at", "opened", "last_opened_at"},
			"holds":          {"id", "tenant", "mission", "agent", "reason", "role", "subject", "set_at", "until", "released_at", "copied_at", "copied", "gone_at"},
			"viewers":        {"link", "node", "tenant", "mission", "count"},
		},
		ClassAcknowledgement: {"acknowledgements": {"tenant", "agent", "version", "acknowledged_at"}},
		ClassReceipts:        {"receipts": {"tenant", "id", "mission", "expires_at", "sealed"}},
		ClassAccessLog: {"access_log": {
			"id", "at", "tenant", "role", "subject", "action", "mission", "agent", "object", "why", "salt", "mac", "leaf",
		}},
		ClassTenant: {
			"tenants":  {"name", "created_at", "mission_months"},
			"api_keys": {"id", "tenant", "role", "label", "hash", "created_at", "revoked_at"},
			"erasing":  {"tenant", "agent", "pseudonym", "at"},
			"notices":  {"tenant", "version", "text", "published_at", "controller", "purpose", "legal_basis", "recipients", "retention", "rights"},
		},
		ClassInstallation: {
			"keyring":  {"one", "id"},
			"expiry":   {"one", "before"},
			"nodes":    {"id", "until"},
			"erasures": {"number", "done_at", "pseudonym", "missions", "positions", "refusals", "acknowledgements", "links", "api_keys", "notices"},
			// What proves the access log, without telling anything of it.
			"access_hashes":      {"place", "hash"},
			"access_checkpoints": {"size", "signed_at", "note"},
			"ronde_schema":       {"id", "version_id", "is_applied", "tstamp"},
		},
	} {
		for table, columns := range tables {
			for _, column := range columns {
				all[table+"."+column] = class
			}
		}
	}
	return all
}
