package session

import (
	"context"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// Store keeps everything that must survive a crash, and judges pings. Both
// adapters pass the suite in storetest, which is this contract as a program.
//
// All methods are safe for many goroutines and, where the adapter's database
// allows several nodes, for many nodes at once. Every change is durable before
// the method returns. Besides the errors named below, each may return an error
// that is ErrUnavailable: then whatever was asked may or may not have happened,
// and asking again is safe. Objects of another tenant are ErrNotFound, exactly
// like missing ones.
//
// The store's clock decides over every time. Adapters read it inside the
// transaction, after the lock.
type Store interface {
	// Now returns the store's clock.
	Now(ctx context.Context) (time.Time, error)

	// KeyringID returns the identity of the keyring that seals what is in this
	// store: the zero UUID as long as none was adopted.
	KeyringID(ctx context.Context) (uuid.UUID, error)
	// AdoptKeyring makes the store remember, for good, the identity of the
	// keyring that seals what is in it, unless it remembers one already. It
	// returns the one it remembers: of several that race, all get the same.
	AdoptKeyring(ctx context.Context, id uuid.UUID) (uuid.UUID, error)

	// Tenants lists all tenants by name.
	Tenants(ctx context.Context) ([]Tenant, error)
	// Sealed reports whether there are missions whose tracks are sealed under a
	// keyring: that have begun and not expired.
	Sealed(ctx context.Context) (bool, error)

	// EnsureTenant makes the tenant if there is none of that name. ErrErasing
	// while one of that name is barred.
	EnsureTenant(ctx context.Context, tenant string) error
	// CreateAPIKey stores a key of an existing tenant. ErrErasing while it is
	// barred.
	CreateAPIKey(ctx context.Context, k APIKey) error
	// APIKey returns the key of that id, revoked or not, of whichever tenant.
	APIKey(ctx context.Context, id uuid.UUID) (APIKey, error)
	// APIKeys lists a tenant's keys, oldest first.
	APIKeys(ctx context.Context, tenant string) ([]APIKey, error)
	// RevokeAPIKey revokes a key; repeating it is harmless. ErrNotFound.
	RevokeAPIKey(ctx context.Context, tenant string, id uuid.UUID) error

	// Notice returns the tenant's latest privacy notice; ErrNotFound if none
	// was ever published.
	Notice(ctx context.Context, tenant string) (Notice, error)
	// PublishNotice stores n under the next version and returns it.
	PublishNotice(ctx context.Context, tenant string, n Notice) (Notice, error)
	// Acknowledge records that the agent acknowledged that version of the
	// notice. ErrNotFound for a version that was never published. Repeating it,
	// or acknowledging an older version afterwards, is harmless.
	Acknowledge(ctx context.Context, tenant, agent string, version int) error
	// Acknowledged returns the newest version that the agent acknowledged, 0
	// for none.
	Acknowledged(ctx context.Context, tenant, agent string) (int, error)
	// Acknowledgements lists the versions that the agent acknowledged, each with
	// the time at which they first did.
	Acknowledgements(ctx context.Context, tenant, agent string) ([]Acknowledgement, error)

	// CreateMission stores a new, valid, scheduled mission of an existing
	// tenant and sets its CreatedAt, Revision and ReadAt. ErrExists for an ID
	// that is taken, ErrErasing if an agent of it or the tenant is barred.
	CreateMission(ctx context.Context, m *Mission) error
	// Mission returns a mission as it stands, with ReadAt set. It is not
	// settled: a mission past its deadline may still read active.
	Mission(ctx context.Context, tenant string, id uuid.UUID) (*Mission, error)
	// Missions lists the missions of a tenant that f selects, newest first,
	// beginning after the id given, which need not be that of a mission (zero:
	// at the newest). f is valid. What it says of states holds for the missions
	// as Settle leaves them at their ReadAt, which is the same for all.
	Missions(ctx context.Context, tenant string, f MissionFilter, after uuid.UUID, limit int) ([]*Mission, error)
	// UpdateMission locks a mission against every other change and against
	// judging, reads it and the clock (ReadAt) after that, and lets change
	// alter it; then stores what changed: state, plan, agents, windows. In the
	// same transaction it removes each agent's positions from Agent.Trim on,
	// counted in Agent.Removed, and the latest position of every agent without
	// an open window; and, of a mission that has ended and on which no hold
	// stands, every position but the newest Policy.MaxPoints, counted there too;
	// and it adds Mission.Log to the
	// access log. It raises Revision if anything but that changed.
	//
	// An error of change is returned as it is and nothing is stored. change
	// may be called more than once. ErrLocated if a window would overlap one
	// of the same agent in another mission. ErrErasing for an agent who joins,
	// or joins again, and is barred, and for the begin of a mission whose tenant
	// is.
	UpdateMission(ctx context.Context, tenant string, id uuid.UUID, change func(m *Mission) error) (*Mission, error)
	// Due returns missions, of all tenants, whose deadline has passed and that
	// are not over, the longest due first. Close each by UpdateMission and
	// Settle.
	Due(ctx context.Context, limit int) ([]Ref, error)
	// News tells a node, in one query, what it does not know about the
	// missions it has sockets for.
	News(ctx context.Context, known []Known) (News, error)

	// Append judges every ping of the batch, each on its own, and stores the
	// good ones, in one transaction and one round trip: it takes the lock that
	// UpdateMission takes on every mission of the batch, then reads the clock
	// and the missions afresh, then applies Mission.Judge, then inserts.
	// Missions whose lock is held by another are skipped (Locked), and stall
	// nobody. A mission that is missing or another tenant's, or that the agent
	// is not on, is NotActive. It sets Verdicts and Now of every submission.
	//
	// Of a slot that is stored already, the verdict is Unchanged if the sealed
	// position has the same fingerprint and TooFrequent otherwise; the stored
	// one stays. In a mission without a track nothing is stored but the latest
	// position of the agent's open window, which a later slot replaces and an
	// earlier one does not.
	//
	// Refused pings are counted by their reason in the same transaction, unless
	// the agent is not on the mission.
	//
	// On an error nothing was stored, or all of it was (ErrUnavailable): the
	// same batch may be appended again in any case.
	Append(ctx context.Context, batch []*Submission) error

	// Track returns stored positions of a mission in order of (At, Agent,
	// Slot), beginning after the cursor.
	Track(ctx context.Context, tenant string, id uuid.UUID, after Cursor, limit int) ([]Row, error)
	// AgentTrack returns of a track what is the agent's, in the same order. To
	// read the parts one by one is cheaper than to read the whole.
	AgentTrack(ctx context.Context, tenant string, id uuid.UUID, agent string, after Cursor, limit int) ([]Row, error)
	// Latest returns, for every agent with an open window, the newest stored
	// positions of that window, at most n an agent, in order of (Agent, At).
	// Past the mission's deadline no window is open, settled or not.
	Latest(ctx context.Context, tenant string, id uuid.UUID, n int) ([]Row, error)

	// SaveProgress keeps sealed progress of agents, each in place of an older one:
	// a cache that spares whoever takes an agent over the folding of a whole
	// window. Each entry is kept only if its mission is active and the window it
	// holds for is open and not newer; the others are left out, and may be those
	// whose mission another holds locked. UpdateMission removes the progress of
	// every window that it closes.
	SaveProgress(ctx context.Context, batch []SavedProgress) error
	// SavedProgress returns what SaveProgress kept of a mission, in order of
	// agents: nothing past the mission's deadline, settled or not.
	SavedProgress(ctx context.Context, tenant string, id uuid.UUID) ([]SavedProgress, error)

	// Refusals returns how many pings of a mission Append has refused, in order
	// of (Agent, Reason). One that was sent again was refused again.
	Refusals(ctx context.Context, tenant string, id uuid.UUID) ([]Refusal, error)

	// CreateLink stores a link of an existing mission.
	CreateLink(ctx context.Context, l Link) error
	// Links lists a mission's links, oldest first, beginning after the id given,
	// which need not be that of a link (zero: at the oldest).
	Links(ctx context.Context, tenant string, mission, after uuid.UUID, limit int) ([]Link, error)
	// RevokeLink revokes a link and raises its mission's Revision; repeating it
	// is harmless. It returns the mission's id. ErrNotFound.
	RevokeLink(ctx context.Context, tenant string, id uuid.UUID) (mission uuid.UUID, err error)

	// Attend renews the lease of a node, by which its viewers count, for another
	// AttendanceLife. If that has lapsed, or is about to, nothing that Watch
	// granted to the node holds any more: Attend makes a new node and returns its
	// id in place of the other.
	Attend(ctx context.Context, node uuid.UUID) (uuid.UUID, error)
	// Watch sets how many viewers a node has at links, each at once, and counts
	// the New ones that are granted as openings of the link. It grants what all
	// nodes whose lease holds stay within Link.MaxViewers with. Attendances are
	// judged each on its own, in one transaction; those of a link that another
	// holds locked are Locked, and stall nobody. A link must not be there twice.
	// ErrNotFound, and nothing is stored, if the node's lease has lapsed.
	Watch(ctx context.Context, node uuid.UUID, batch []*Attendance) error

	// CreateOnce stores the mission or link of c as CreateMission and CreateLink
	// do, and the receipt that c.Seal then returns, in one transaction, for
	// ReceiptLife. ErrRepeated, and nothing is stored, if a receipt of that name
	// stands; of several callers at once one succeeds. An error of c.Seal is
	// returned as it is and nothing is stored. c.Seal may be called more than
	// once.
	CreateOnce(ctx context.Context, c Creation) error
	// Receipt returns the receipt of that name; ErrNotFound if there is none or
	// its life is over.
	Receipt(ctx context.Context, tenant string, id ReceiptID) (sealed []byte, err error)
	// PurgeReceipts removes receipts, of all tenants, whose life is over, the
	// oldest first and at most limit, and returns how many.
	PurgeReceipts(ctx context.Context, limit int) (int, error)

	// Bar makes sure, in one transaction, that nothing is in the way of erasing
	// the agent, or the tenant, that t names, and that from then on nothing
	// comes in the way: it takes the locks of all missions of the agent, as
	// UpdateMission and UpdateHold do, returns ErrOnDuty or ErrHeld, or ErrState
	// for a tenant with a mission under way, and otherwise bars them. Whoever is
	// barred joins no mission and is kept by no hold; in a tenant that is, nothing
	// is made and no mission begins (ErrErasing). The last step of Erase lifts it.
	//
	// It returns t with the time of that, At, up to which Erase erases. If they
	// are barred already, it returns At and Pseudonym of whoever did it first.
	Bar(ctx context.Context, t Tombstone) (Tombstone, error)
	// Barred returns who is barred, of all tenants, the longest first.
	Barred(ctx context.Context) ([]Tombstone, error)
	// Erase takes one step of a tombstone, in one transaction, and counts in it
	// what it removed: call it until it is Done. It is told by t.Number, and
	// means what came to be until t.At. Taking a step again is harmless, and of
	// several callers each takes another. One that is done stays so, whatever
	// number it has: of an agent it is the one with its pseudonym. What Bar looks
	// at does not stop it: a store that was restored may show a hold, or a duty,
	// that was over when the tombstone was set.
	//
	// Of an agent, it takes one mission at a time: first positions, a bounded
	// number a step; with the last of them, under the lock that UpdateMission
	// takes, what else there is of the agent, and gives the agent the pseudonym
	// for id and alias, relieved and with no window open. Then nothing of theirs
	// can be stored there any more. At last the acknowledgements.
	//
	// Of a tenant, API keys go first, so that nothing new comes; then one
	// mission after the other with all that belongs to it; at last the tenant.
	Erase(ctx context.Context, t Tombstone) (ErasureStep, error)
	// Erasure returns what the store remembers of a tombstone: ErrNotFound if
	// it never took a step of it.
	Erasure(ctx context.Context, number int64) (Erasure, error)
	// LastErasure returns the highest number of a tombstone that was carried
	// out, 0 for none. Whoever carries one out has carried out those before it.
	LastErasure(ctx context.Context) (int64, error)

	// LogAccess adds rows to the access log, whichever their tenants, all of
	// them or none, dated by the store's clock. It sets the ID of those that
	// have none. ErrExists for an ID that is taken. Whether a row was
	// authenticated is not its concern: whoever verifies the log finds out.
	LogAccess(ctx context.Context, batch []Access) error
	// AccessLog lists the rows of a tenant that f selects in the order of their
	// ids, which is that of time but for the drift of the nodes' clocks,
	// beginning after the id given, which need not be that of a row (zero: at
	// the first), without their salts. The Leaf of those that have none yet is -1.
	AccessLog(ctx context.Context, tenant string, f AccessFilter, after uuid.UUID, limit int) ([]LoggedAccess, error)

	// AccessState says how the access log stands, whichever its tenants.
	AccessState(ctx context.Context) (AccessState, error)
	// GrowAccessTree lets one caller at a time, of all nodes, give leaves to rows
	// of the access log that have none: in one transaction it takes at most limit
	// of them in the order of their ids, lets grow compute what is to be stored,
	// and stores that. It returns how many rows it were: none, without asking
	// grow, if all have a leaf or another caller is about it. An error of grow
	// is returned as it is and nothing is stored.
	GrowAccessTree(ctx context.Context, limit int, grow func(g *AccessGrowth) error) (int, error)
	// AccessRows returns rows of all tenants that have a leaf, in the order of
	// their leaves, from that one on. What cannot be read of a row, because
	// somebody changed it, is said in Damaged.
	AccessRows(ctx context.Context, from int64, limit int) ([]LoggedAccess, error)
	// AccessHashes returns stored hashes of the tree by their index. Those that
	// are missing are left out.
	AccessHashes(ctx context.Context, indexes []int64) (map[int64]tlog.Hash, error)
	// AccessCheckpoints returns signed checkpoints in the order of their sizes, from
	// that one on. Of past days the last one is kept.
	AccessCheckpoints(ctx context.Context, from int64, limit int) ([]StoredCheckpoint, error)
	// PurgeAccess removes rows of the access log that lie before the newest
	// checkpoint that is AccessMonths old, the oldest first, and checkpoints that
	// no longer say anything, of each at most limit, and returns how many. The
	// hashes stay.
	PurgeAccess(ctx context.Context, limit int) (rows, checkpoints int, err error)

	HoldStore
	RetentionStore

	// Close releases what the store holds.
	Close() error
}

// Ref names a mission of any tenant.
type Ref struct {
	Tenant string
	ID     uuid.UUID
}

// Submission is what one phone sent at once: pings of one agent of one
// mission, in the order they came.
type Submission struct {
	Ref
	Agent string
	Pings []Ping
	// Sealed holds one sealed position a ping. It may be empty as long as the
	// node does not know that the mission has begun; good pings are then
	// Unsealed.
	Sealed [][]byte

	// Set by Append:

	// Verdicts holds one verdict a ping.
	Verdicts []Verdict
	// Now is the store's clock at which they were judged, milliseconds since
	// the epoch. The time of a stored ping is its Timestamp or, if that is
	// later, Now.
	Now int64
}

// Row is one stored position.
type Row struct {
	Agent  string
	Slot   int64
	At     time.Time
	Sealed []byte
}

// Cursor is the place right behind the row.
func (r *Row) Cursor() Cursor { return Cursor{At: r.At, Agent: r.Agent, Slot: r.Slot} }

// Refusal is how many pings of an agent were refused for one reason.
type Refusal struct {
	Agent  string
	Reason string // Verdict.Code
	Count  int64
}

// Cursor is a place in a track. The zero Cursor is its beginning.
type Cursor struct {
	At    time.Time
	Agent string
	Slot  int64
}

// Known is what a node knows of one mission.
type Known struct {
	Ref
	Revision int64
	// Watched asks for the newest stored position of each agent too.
	Watched bool
}

// News is what a node did not know.
type News struct {
	// Now is the store's clock, read before anything else.
	Now time.Time
	// Missions holds those whose revision differs from the known one.
	Missions []*Mission
	// Missing holds those that no longer exist.
	Missing []uuid.UUID
	// Newest holds, for watched missions, the newest position of every agent
	// with an open window, out of that window: see Store.Latest.
	Newest []Newest
	// Viewers holds, for every mission that is watched, how many do so at each
	// node whose lease holds.
	Viewers []Viewers
}

// Newest says up to when an agent's positions are stored.
type Newest struct {
	Mission uuid.UUID
	Agent   string
	At      time.Time
}

// SavedProgress is what the progress of one agent had come to.
type SavedProgress struct {
	Ref
	Agent  string
	Opened time.Time // of the window it holds for
	At     time.Time // of the newest position it has taken in
	Sealed []byte    // see TrackKey.SealProgress
}

// ErasureLimit is how many positions one step of Store.Erase removes at most.
const ErasureLimit = 5_000

// Tenant is a customer of the installation.
type Tenant struct {
	Name      string
	CreatedAt time.Time
}

// Acknowledgement is an agent's of one version of the privacy notice.
type Acknowledgement struct {
	Version int
	At      time.Time
}

// APIKey is a credential of a tenant's own systems. Only the hash of its
// secret is kept.
type APIKey struct {
	ID        uuid.UUID
	Tenant    string
	Role      Role
	Label     string
	Hash      []byte // SHA-256 of the secret
	CreatedAt time.Time
	RevokedAt time.Time // zero: valid
}

// Link lets a client watch one mission.
type Link struct {
	ID         uuid.UUID
	Tenant     string
	Mission    uuid.UUID
	View       View
	Label      string
	MaxViewers int // 0: no limit
	CreatedAt  time.Time
	ExpiresAt  time.Time
	RevokedAt  time.Time // zero: valid

	// Kept by Watch:

	Opened       int64     // how often it was
	LastOpenedAt time.Time // zero: never
	Watching     int       // viewers now, over all nodes
}

// AttendanceLife is how long a node's viewers count after it last said that it is
// there: until then, what a node that died had let in is taken.
const AttendanceLife = 15 * time.Second

// Attendance is how many watch through one link at one node.
type Attendance struct {
	Tenant string
	Link   uuid.UUID
	Want   int // all that are or would be there
	New    int // those of them that are not there yet

	// Set by Watch:

	Granted int // at most Want
	Verdict AttendanceVerdict
}

// AttendanceVerdict says what became of an Attendance.
type AttendanceVerdict int8

// The verdicts on attendances.
const (
	AttendanceJudged  AttendanceVerdict = iota + 1
	AttendanceLocked                    // ask again: another held the link
	AttendanceUnknown                   // there is no such link
)

// Viewers is how many watch a mission at one node.
type Viewers struct {
	Mission uuid.UUID
	Node    uuid.UUID
	Count   int
}
