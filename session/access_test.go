package session_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"ronde/session"
)

// batches is a store of which only the access log is asked for. It notes what is
// committed together.
type batches struct {
	session.Store
	commit func(batch []session.Access) error

	mu  sync.Mutex
	all [][]session.Access // guarded by mu
}

func (b *batches) LogAccess(_ context.Context, batch []session.Access) error {
	if err := b.commit(batch); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, slices.Clone(batch))
	return nil
}

func recorder(store session.Store) *session.Service {
	return &session.Service{Store: store, Sealer: session.NewSealer(session.NewRootSecret(), nil), Access: session.NewAccessWriter(store)}
}

var reader = &session.Principal{Role: session.Operator, Tenant: "acme", Subject: session.NewID()}

func read(i int) session.Access {
	return session.Access{Action: session.AccessTrackRead, Why: fmt.Sprint("reason ", i)}
}

// TestRecordInBatches: whoever finds no batch under way commits at once; those who
// come meanwhile go together, and each is answered once its row is committed.
func TestRecordInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const commit = 10 * time.Millisecond
		store := &batches{commit: func([]session.Access) error { time.Sleep(commit); return nil }}
		s := recorder(store)
		var callers sync.WaitGroup
		record := func(i int, within time.Duration) {
			callers.Go(func() {
				begun := time.Now()
				if err := s.Record(t.Context(), reader, read(i)); err != nil {
					t.Error(err)
				}
				if took := time.Since(begun); took != within {
					t.Errorf("row %d took %v, want %v", i, took, within)
				}
			})
			synctest.Wait()
		}
		record(0, commit) // alone: it waits for nobody
		time.Sleep(commit / 2)
		for i := 1; i <= 2_500; i++ { // three batches, the last a smaller one
			within := commit/2 + commit*time.Duration(1+(i-1)/1_000)
			record(i, within)
		}
		callers.Wait()
		var sizes []int
		for _, b := range store.all {
			sizes = append(sizes, len(b))
		}
		slices.Sort(sizes)
		if !slices.Equal(sizes, []int{1, 500, 1_000, 1_000}) {
			t.Errorf("batches of %v rows", sizes)
		}
		if a := store.all[0][0]; a.Tenant != "acme" || a.Role != session.Operator || a.Subject != reader.Subject || a.Why != "reason 0" {
			t.Errorf("recorded %+v", a)
		}
	})
}

// TestRecordFails is P31: a log that is down, or does not answer, gives no data, and
// harms nobody once it is back.
func TestRecordFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("disk full")
		var fails atomic.Bool
		hang := make(chan struct{})
		store := &batches{commit: func(batch []session.Access) error {
			if batch[0].Why == "hang" {
				<-hang
			}
			if fails.Load() {
				return down
			}
			return nil
		}}
		s := recorder(store)
		fails.Store(true)
		if err := s.Record(t.Context(), reader, read(0)); !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, down) {
			t.Errorf("a log that is down: %v", err)
		}
		fails.Store(false)
		if err := s.Record(t.Context(), reader, read(1)); err != nil {
			t.Errorf("a log that is back: %v", err)
		}

		var callers sync.WaitGroup
		callers.Go(func() {
			_ = s.Record(t.Context(), reader, session.Access{Action: session.AccessTrackRead, Why: "hang"})
		})
		synctest.Wait()
		begun := time.Now()
		for i := range 3 {
			callers.Go(func() {
				if err := s.Record(t.Context(), reader, read(i)); !errors.Is(err, session.ErrUnavailable) {
					t.Errorf("behind a commit that hangs: %v", err)
				}
			})
		}
		synctest.Wait()
		gone, cancel := context.WithCancel(t.Context())
		callers.Go(func() {
			if err := s.Record(gone, reader, read(9)); !errors.Is(err, session.ErrUnavailable) {
				t.Errorf("a caller who gives up: %v", err)
			}
			if took := time.Since(begun); took != time.Second {
				t.Errorf("a caller who gives up after 1 s waited %v", took)
			}
		})
		time.Sleep(time.Second)
		cancel()
		time.Sleep(10 * time.Second) // they must have given up by now
		close(hang)
		callers.Wait()
		if err := s.Record(t.Context(), reader, read(2)); err != nil {
			t.Errorf("after a commit that hung: %v", err)
		}
	})
}

// TestRecordRefuses: one bad row must not take its batch with it.
func TestRecordRefuses(t *testing.T) {
	store := &batches{commit: func([]session.Access) error { return nil }}
	s := recorder(store)
	for _, a := range []session.Access{
		{}, {Action: "track.readd"}, {Action: session.AccessTrackRead, Why: "a\x00b"}, {Action: session.AccessTrackRead, Why: "\xff"},
		{Action: session.AccessTrackRead, Agent: "badge\n17"}, {Action: session.AccessTrackRead, Why: strings.Repeat("x", 10_000)},
	} {
		if err := s.Record(t.Context(), reader, a); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%+v: %v", a, err)
		}
	}
	if len(store.all) != 0 {
		t.Errorf("recorded %+v", store.all)
	}
	agent := &session.Principal{Role: session.AgentRole, Tenant: "acme", Subject: session.NewID(), Mission: session.NewID(), Agent: "badge-17"}
	if err := s.Record(t.Context(), agent, session.Access{Action: session.AccessAgentExport, Mission: session.NewID()}); err != nil {
		t.Fatal(err)
	}
	if a := store.all[0][0]; a.Mission != agent.Mission || a.Agent != s.Pseudonym("acme", "badge-17") {
		t.Errorf("an agent's row is %+v", a)
	}
	if err := s.Record(t.Context(), nil, session.Access{Tenant: "acme", Action: session.AccessRetentionSweep}); err != nil {
		t.Fatal(err)
	}
	if a := store.all[1][0]; a.Tenant != "acme" || a.Role != "" || a.Subject != uuid.Nil {
		t.Errorf("Ronde's own row is %+v", a)
	}
}

// TestAccessFilter: what can select nothing is none.
func TestAccessFilter(t *testing.T) {
	f := session.AccessFilter{Actions: []session.AccessAction{"nothing"}}
	if err := f.Validate(); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("a filter of an action that there is not: %v", err)
	}
	f = session.AccessFilter{From: start, To: start}
	if err := f.Validate(); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("a filter of an empty time: %v", err)
	}
}

// TestPseudonym: one name an agent and tenant and installation, that says nothing.
func TestPseudonym(t *testing.T) {
	one, other := recorder(nil), recorder(nil)
	name := one.Pseudonym("acme", "badge-17")
	if len(name) != 32 || strings.Contains(name, "17") && strings.Contains(name, "badge") || name != one.Pseudonym("acme", "badge-17") {
		t.Errorf("pseudonym %q", name)
	}
	for what, stranger := range map[string]string{
		"another agent": one.Pseudonym("acme", "badge-18"), "another tenant": one.Pseudonym("beta", "badge-17"),
		"another installation": other.Pseudonym("acme", "badge-17"),
	} {
		if stranger == name {
			t.Errorf("%s has the same pseudonym", what)
		}
	}
}

func logged() session.LoggedAccess {
	return session.LoggedAccess{
		Access: session.Access{
			ID: uuid.MustParse("01a212f5-db89-7731-9181-9f0d1c77a56c"), At: start, Tenant: "acme", Role: session.Operator,
			Action: session.AccessTrackRead, Agent: "a", Why: "w",
			Salt: bytes.Repeat([]byte{7}, session.AccessSaltSize), MAC: bytes.Repeat([]byte{8}, session.AccessMACSize),
		},
	}
}

// TestLeafHash: it depends on every column, on where one ends and the next begins,
// and on the salt: without that, whoever knows everything but one digit of a row
// cannot try out which it was.
func TestLeafHash(t *testing.T) {
	base := logged()
	seen := map[tlog.Hash]string{base.LeafHash(): "the row"}
	if again := logged(); again.LeafHash() != base.LeafHash() {
		t.Error("the same row has two hashes")
	}
	for what, change := range map[string]func(a *session.LoggedAccess){
		"id": func(a *session.LoggedAccess) { a.ID[15]++ }, "at": func(a *session.LoggedAccess) { a.At = a.At.Add(time.Microsecond) },
		"tenant": func(a *session.LoggedAccess) { a.Tenant = "acm" }, "role": func(a *session.LoggedAccess) { a.Role = "" },
		"subject": func(a *session.LoggedAccess) { a.Subject[0]++ }, "action": func(a *session.LoggedAccess) { a.Action = session.AccessLiveOpen },
		"mission": func(a *session.LoggedAccess) { a.Mission[0]++ }, "agent": func(a *session.LoggedAccess) { a.Agent = "" },
		"object": func(a *session.LoggedAccess) { a.Object[0]++ }, "why": func(a *session.LoggedAccess) { a.Why = "" },
		"salt":    func(a *session.LoggedAccess) { a.Salt[0]++ },
		"mac":     func(a *session.LoggedAccess) { a.MAC[0]++ },
		"no salt": func(a *session.LoggedAccess) { a.Salt = nil },
		"bounds":  func(a *session.LoggedAccess) { a.Agent, a.Why = "", "aw" },
	} {
		a := logged()
		change(&a)
		if twin, ok := seen[a.LeafHash()]; ok {
			t.Errorf("a change of %s gives the hash of %s", what, twin)
		}
		seen[a.LeafHash()] = what
	}
}

// TestLeafHashForm holds the form of a leaf: another one would make every log that
// was ever signed look edited.
func TestLeafHashForm(t *testing.T) {
	a := logged()
	const want = "bXSMF1fdVzpUnzUxob7aHX882HhAto3EZ156duArmOw="
	if got := a.LeafHash().String(); got != want {
		t.Errorf("leaf %s, want %s", got, want)
	}
}

// TestAccessFileForm holds the form of a row in an exported log, which is read for
// as long as anybody keeps one.
func TestAccessFileForm(t *testing.T) {
	const line = `{"leaf":0,"hash":"bXSMF1fdVzpUnzUxob7aHX882HhAto3EZ156duArmOw=","row":{` +
		`"id":"01a212f5-db89-7731-9181-9f0d1c77a56c","at":"2026-11-21T19:00:00Z","tenant":"acme","role":"operator",` +
		`"subject":"00000000-0000-0000-0000-000000000000","action":"track.read","mission":"00000000-0000-0000-0000-000000000000",` +
		`"agent":"a","object":"00000000-0000-0000-0000-000000000000","why":"w",` +
		`"salt":"BwcHBwcHBwcHBwcHBwcHBw==","mac":"CAgICAgICAgICAgICAgICA=="}}` + "\n"
	signer, err := session.NewAccessSigner(session.NewRootSecret(), session.NewID())
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := json.Marshal(map[string]string{"checkpoint": sign(t, signer)})
	if err != nil {
		t.Fatal(err)
	}
	text := `{"format":"ronde access log 1","key":"` + signer.Key() + `"}` + "\n" + string(checkpoint) + "\n" + line
	file, err := session.ReadAccessFile(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := file.AccessRows(t.Context(), 0, 2); err != nil || len(rows) != 1 || !reflect.DeepEqual(rows[0], logged()) {
		t.Errorf("rows %+v, %v; want %+v", rows, err, logged())
	}
	var again strings.Builder
	n, err := session.ExportAccessLog(t.Context(), file, &signer.AccessVerifier, "", &again)
	if err != nil || n != 1 || again.String() != text {
		t.Errorf("%d rows, %v:\n%s\nwant\n%s", n, err, again.String(), text)
	}
}

// TestCheckpointForgery: what the installation did not sign opens nowhere.
func TestCheckpointForgery(t *testing.T) {
	root, keyring := session.NewRootSecret(), session.NewID()
	signer, err := session.NewAccessSigner(root, keyring)
	if err != nil {
		t.Fatal(err)
	}
	text := sign(t, signer)
	again, err := session.NewAccessSigner(root, keyring)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := again.Open(text); err != nil || c.Size != 1 || session.OriginOf(text) != keyring {
		t.Errorf("%+v, %v", c, err)
	}
	public, err := session.NewAccessVerifier(signer.Key())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := public.Open(text); err != nil {
		t.Errorf("with the public key alone: %v", err)
	}
	strange := func(root session.RootSecret, keyring uuid.UUID) string {
		s, err := session.NewAccessSigner(root, keyring)
		if err != nil {
			t.Fatal(err)
		}
		return sign(t, s)
	}
	for what, forged := range map[string]string{
		"nothing": "", "another size": strings.Replace(text, "\n1\n", "\n2\n", 1), "another root secret": strange(session.NewRootSecret(), keyring),
		"another installation": strange(root, session.NewID()), "no signature": text[:strings.Index(text, "—")], "a line more": "x\n" + text,
	} {
		if _, err := signer.Open(forged); err == nil {
			t.Errorf("%s opens: %q", what, forged)
		}
	}
	for _, key := range []string{"", "x", "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", signer.Key() + "A"} {
		if _, err := session.NewAccessVerifier(key); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

// sign returns the checkpoint of a tree with one leaf.
func sign(t *testing.T, signer *session.AccessSigner) string {
	t.Helper()
	g := &growing{rows: []session.LoggedAccess{logged()}}
	if _, _, err := session.GrowAccessTree(t.Context(), g, signer); err != nil {
		t.Fatal(err)
	}
	return g.signed
}

// growing is a store of which only an empty tree is asked for.
type growing struct {
	session.Store
	rows   []session.LoggedAccess
	signed string
}

func (s *growing) GrowAccessTree(_ context.Context, _ int, grow func(g *session.AccessGrowth) error) (int, error) {
	g := session.AccessGrowth{Now: start, Rows: s.rows, Hashes: func([]int64) ([]tlog.Hash, error) { return nil, nil }}
	err := grow(&g)
	s.signed = g.Signed
	return len(g.Rows), err
}

func FuzzReadAccessFile(f *testing.F) {
	signer, err := session.NewAccessSigner(session.NewRootSecret(), session.NewID())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"format":"ronde access log 1","tenant":"acme","key":"k"}` + "\n" + `{"checkpoint":"c"}` + "\n" +
		`{"leaf":0,"hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","row":{"salt":"","id":"01a212f5-db89-7731-9181-9f0d1c77a56c","at":"2026-11-21T19:00:00Z","tenant":"acme","role":"","subject":"00000000-0000-0000-0000-000000000000","action":"track.read","mission":"00000000-0000-0000-0000-000000000000","agent":"","object":"00000000-0000-0000-0000-000000000000","why":""},"proof":[]}`))
	f.Add([]byte(`{"format":"ronde access log 1"}` + "\n" + `{"leaf":9223372036854775807,"hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := session.ReadAccessFile(bytes.NewReader(text))
		if err != nil {
			return
		}
		r, err := file.Verify(t.Context(), &signer.AccessVerifier, nil, start)
		if err != nil {
			t.Fatal(err)
		}
		if r.Checkpoints != 0 {
			t.Errorf("something is vouched for that nobody signed: %+v", r)
		}
		if _, err := json.Marshal(r.Findings); err != nil {
			t.Error(err)
		}
	})
}

func FuzzSplitCheckpoints(f *testing.F) {
	f.Add("ronde-access-log/x\n1\nr\nt\n\n— n s\nronde-access-log/x\n2")
	f.Fuzz(func(t *testing.T, text string) {
		for _, one := range session.SplitCheckpoints(text) {
			if again := session.SplitCheckpoints(one); len(again) != 1 || again[0] != one {
				t.Errorf("%q splits into %q", one, again)
			}
		}
	})
}

// TestAccessKey: the MAC depends on every column but the time, which the store sets,
// and on the root secret.
func TestAccessKey(t *testing.T) {
	keyOf := func(root session.RootSecret) session.AccessKey {
		t.Helper()
		key, err := session.NewAccessKey(root)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	key := keyOf(session.NewRootSecret())
	for what, change := range map[string]func(a *session.Access){
		"id": func(a *session.Access) { a.ID[15]++ }, "tenant": func(a *session.Access) { a.Tenant = "acm" },
		"role": func(a *session.Access) { a.Role = "" }, "subject": func(a *session.Access) { a.Subject[0]++ },
		"action": func(a *session.Access) { a.Action = session.AccessLiveOpen }, "mission": func(a *session.Access) { a.Mission[0]++ },
		"agent": func(a *session.Access) { a.Agent = "" }, "object": func(a *session.Access) { a.Object[0]++ },
		"why": func(a *session.Access) { a.Why = "" }, "salt": func(a *session.Access) { a.Salt[0]++ },
		"bounds": func(a *session.Access) { a.Agent, a.Why = "", "aw" }, "mac": func(a *session.Access) { a.MAC[0]++ },
		"no mac": func(a *session.Access) { a.MAC = nil }, "half a mac": func(a *session.Access) { a.MAC = a.MAC[:8] },
	} {
		a := logged().Access
		key.Authenticate(&a)
		if len(a.Salt) != session.AccessSaltSize || len(a.MAC) != session.AccessMACSize || a.ID != logged().ID {
			t.Fatalf("authenticated %+v", a)
		}
		a.At = a.At.Add(time.Hour)
		if !key.Authentic(&a) || keyOf(session.NewRootSecret()).Authentic(&a) {
			t.Error("a row is not authentic under its key, or is so under another")
		}
		change(&a)
		if key.Authentic(&a) {
			t.Errorf("a row is authentic with another %s", what)
		}
	}
	if _, err := session.NewAccessKey(session.RootSecret{}); err == nil {
		t.Error("there is a key without a root secret")
	}
}
