package session_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"ronde/geo"
	"ronde/session"
)

// The mission of the golden row, and the others that differ from it in one
// thing each.
func sealedMission() *session.Mission {
	return &session.Mission{
		ID:        uuid.MustParse("0195a7c2-93b0-7d5e-8a41-3f6e0c9b2d17"),
		Tenant:    "acme",
		Policy:    session.DefaultPolicy(),
		ExpiresOn: 20000,
		ReadAt:    session.Day(19990).Time(),
	}
}

func trackKey(t testing.TB, ring *fakeRing, m *session.Mission) *session.TrackKey {
	t.Helper()
	root, err := session.ParseRootSecret(goodRoot)
	if err != nil {
		t.Fatal(err)
	}
	key, err := session.NewSealer(root, ring).Key(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func fullPing() session.Ping {
	return session.Ping{Seq: 7, Timestamp: 1795255200250, Position: geo.Position{
		Point:    geo.Point{Latitude: 48.8466, Longitude: 2.4167},
		Accuracy: 6.5, Altitude: 61.2, Heading: 87.5, Speed: 1.4, Battery: 0.81,
	}}
}

// equalPing compares what is sealed: all but Seq, with Unknown equal to itself.
func equalPing(a, b session.Ping) bool {
	same := func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y }
	return a.Timestamp == b.Timestamp && a.Point == b.Point && a.Mock == b.Mock &&
		same(a.Accuracy, b.Accuracy) && same(a.Altitude, b.Altitude) && same(a.Heading, b.Heading) &&
		same(a.Speed, b.Speed) && same(a.Battery, b.Battery)
}

// TestSealProperty: whatever is possible comes back as it was, to seven
// decimals, and a resend has the fingerprint of the first.
func TestSealProperty(t *testing.T) {
	m := sealedMission()
	m.Policy.Speed = true
	key := trackKey(t, newFakeRing(), m)
	rapid.Check(t, func(t *rapid.T) {
		optional := func(lo, hi float32, name string) float32 {
			if rapid.Bool().Draw(t, name+" absent") {
				return geo.Unknown
			}
			return rapid.Float32Range(lo, hi).Draw(t, name)
		}
		p := session.Ping{
			Seq:       rapid.Uint64().Draw(t, "seq"),
			Timestamp: rapid.Int64Range(-62135596800000, 253402300799999).Draw(t, "timestamp"),
			Position: geo.Position{
				Point: geo.Point{
					Latitude:  rapid.Float64Range(-90, 90).Draw(t, "latitude"),
					Longitude: rapid.Float64Range(-180, 180).Draw(t, "longitude"),
				},
				Accuracy: optional(0, 1e6, "accuracy"), Altitude: optional(-12000, 1e5, "altitude"),
				Heading: optional(0, 360, "heading"), Speed: optional(0, 1000, "speed"),
				Battery: optional(0, 1, "battery"), Mock: rapid.Bool().Draw(t, "mock"),
			},
		}
		agent := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._@-]{0,63}`).Draw(t, "agent")
		slot := session.Slot(p.Timestamp, key.Interval())
		sealed := key.Seal([]byte("before"), agent, slot, &p)
		if !bytes.HasPrefix(sealed, []byte("before")) || len(sealed) != len("before")+session.SealedSize {
			t.Fatalf("sealed into %d bytes", len(sealed))
		}
		sealed = sealed[len("before"):]
		got, err := key.Open(agent, slot, sealed)
		if err != nil {
			t.Fatal(err)
		}
		if got.Seq != 0 {
			t.Fatalf("seq %d was kept", got.Seq)
		}
		const half = 0.5e-7 + 1e-13 // a tie, and what a float64 of 180 degrees cannot tell apart
		if math.Abs(got.Latitude-p.Latitude) > half || math.Abs(got.Longitude-p.Longitude) > half {
			t.Fatalf("%v became %v", p.Point, got.Point)
		}
		rounded := p
		rounded.Point = got.Point
		if !equalPing(got, rounded) {
			t.Fatalf("%+v became %+v", p, got)
		}
		// Once rounded, nothing changes any more.
		again := key.Seal(nil, agent, slot, &got)
		if !bytes.Equal(again[:session.FingerprintSize], sealed[:session.FingerprintSize]) {
			t.Fatal("a resend has another fingerprint")
		}
		if bytes.Equal(again[session.FingerprintSize:], sealed[session.FingerprintSize:]) {
			t.Fatal("a resend has the same ciphertext")
		}
	})
}

// TestSealGolden: a row sealed by an earlier build opens, and its fingerprint
// is the same today: a phone may resend across an upgrade.
func TestSealGolden(t *testing.T) {
	key, p := trackKey(t, newFakeRing(), sealedMission()), fullPing()
	slot := session.Slot(p.Timestamp, key.Interval())
	fresh := key.Seal(nil, "badge-17", slot, &p)
	sealed, err := hex.DecodeString(goldenRow)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(fresh[:session.FingerprintSize+1], sealed[:session.FingerprintSize+1]) {
		t.Errorf("fingerprint and version %x, was %x; a row of today: %x", fresh[:9], sealed[:9], fresh)
	}
	p.Speed = geo.Unknown
	if got, err := key.Open("badge-17", slot, sealed); err != nil || !equalPing(got, p) {
		t.Errorf("an old row opens as %+v: %v", got, err)
	}
}

const goldenRow = "bb51f38b3311d6ad01a52d1f7ff7b88cf0b2c1bda67b2dc55300cc5606985eb500108e38ef235a29854ce5b1b482c206ea13de924141a833fd76ba0ed8ac53c745870289633af2ce305c83"

func TestSealTampered(t *testing.T) {
	key, p := trackKey(t, newFakeRing(), sealedMission()), fullPing()
	sealed := key.Seal(nil, "badge-17", 1795255200, &p)
	for i := range sealed {
		for bit := range 8 {
			broken := bytes.Clone(sealed)
			broken[i] ^= 1 << bit
			if _, err := key.Open("badge-17", 1795255200, broken); !errors.Is(err, session.ErrUnreadable) {
				t.Fatalf("byte %d, bit %d flipped: %v", i, bit, err)
			}
		}
	}
	for _, broken := range [][]byte{nil, {}, sealed[1:], sealed[:len(sealed)-1], append(bytes.Clone(sealed), 0)} {
		if _, err := key.Open("badge-17", 1795255200, broken); !errors.Is(err, session.ErrUnreadable) {
			t.Errorf("%d bytes opened: %v", len(broken), err)
		}
	}
}

// TestSealBound: a row opens where it was sealed and nowhere else.
func TestSealBound(t *testing.T) {
	ring, p := newFakeRing(), fullPing()
	key := trackKey(t, ring, sealedMission())
	sealed := key.Seal(nil, "badge-17", 5, &p)
	if _, err := key.Open("badge-17", 5, sealed); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() error{
		"another agent":    func() error { _, err := key.Open("badge-18", 5, sealed); return err },
		"no agent":         func() error { _, err := key.Open("", 5, sealed); return err },
		"another slot":     func() error { _, err := key.Open("badge-17", 6, sealed); return err },
		"the negated slot": func() error { _, err := key.Open("badge-17", -5, sealed); return err },
	} {
		if err := open(); !errors.Is(err, session.ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(m *session.Mission){
		"another mission":    func(m *session.Mission) { m.ID[15]++ },
		"another tenant":     func(m *session.Mission) { m.Tenant = "acm" },
		"another expiry day": func(m *session.Mission) { m.ExpiresOn++ },
	} {
		m := sealedMission()
		change(m)
		// The same salt for all, so that it is not what tells them apart.
		other := newFakeRing()
		other.salts = map[saltName][]byte{{m.Tenant, m.ExpiresOn}: ring.salts[saltName{"acme", 20000}]}
		if name == "another expiry day" {
			other = ring
		}
		if _, err := trackKey(t, other, m).Open("badge-17", 5, sealed); !errors.Is(err, session.ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	again := newFakeRing()
	again.salts[saltName{"acme", 20000}] = bytes.Repeat([]byte{9}, 32)
	if _, err := trackKey(t, again, sealedMission()).Open("badge-17", 5, sealed); !errors.Is(err, session.ErrUnreadable) {
		t.Errorf("another salt: %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	key, p := trackKey(t, newFakeRing(), sealedMission()), fullPing()
	of := func(agent string, slot int64, p session.Ping) string {
		return string(key.Seal(nil, agent, slot, &p)[:session.FingerprintSize])
	}
	first := of("badge-17", 5, p)
	with := func(change func(p *session.Ping)) session.Ping { c := p; change(&c); return c }
	for name, same := range map[string]session.Ping{
		"another seq":             with(func(p *session.Ping) { p.Seq = 99 }),
		"a speed that is dropped": with(func(p *session.Ping) { p.Speed = 3 }),
		"below seven decimals":    with(func(p *session.Ping) { p.Latitude += 1e-9 }),
	} {
		if of("badge-17", 5, same) != first {
			t.Errorf("%s: another fingerprint", name)
		}
	}
	for name, other := range map[string]string{
		"another time":     of("badge-17", 5, with(func(p *session.Ping) { p.Timestamp++ })),
		"another latitude": of("badge-17", 5, with(func(p *session.Ping) { p.Latitude += 1e-7 })),
		"mock":             of("badge-17", 5, with(func(p *session.Ping) { p.Mock = true })),
		"no accuracy":      of("badge-17", 5, with(func(p *session.Ping) { p.Accuracy = geo.Unknown })),
		"another agent":    of("badge-18", 5, p),
		"another slot":     of("badge-17", 6, p),
	} {
		if other == first {
			t.Errorf("%s: the same fingerprint", name)
		}
	}
}

// TestNoncesNeverRepeat seals one and the same ping over and over, across
// restarts and on several nodes (P42).
func TestNoncesNeverRepeat(t *testing.T) {
	ring, p := newFakeRing(), fullPing()
	nonces := map[string]bool{}
	const restarts, seals = 50, 400
	for range restarts {
		key := trackKey(t, ring, sealedMission())
		for range seals {
			sealed := key.Seal(nil, "badge-17", 5, &p)
			nonces[string(sealed[session.FingerprintSize+1:][:12])] = true
		}
	}
	if len(nonces) != restarts*seals {
		t.Errorf("%d nonces among %d sealed positions", len(nonces), restarts*seals)
	}
}

func TestSealAll(t *testing.T) {
	m := sealedMission()
	key := trackKey(t, newFakeRing(), m)
	s := &session.Submission{Ref: session.Ref{Tenant: m.Tenant, ID: m.ID}, Agent: "badge-17"}
	for i := range 100 {
		p := fullPing()
		p.Timestamp += int64(i) * 400
		p.Latitude += float64(i) * 1e-4
		s.Pings = append(s.Pings, p)
	}
	s.Pings[50].Timestamp = -1500 // slots are right before 1970 too
	s.Pings[51].Latitude = math.NaN()
	key.SealAll(s)
	if len(s.Sealed) != len(s.Pings) {
		t.Fatalf("%d sealed positions of %d pings", len(s.Sealed), len(s.Pings))
	}
	for i, p := range s.Pings {
		got, err := key.Open(s.Agent, session.Slot(p.Timestamp, 1000), s.Sealed[i])
		if err != nil || got.Timestamp != p.Timestamp {
			t.Fatalf("ping %d: %v", i, err)
		}
		if geo.Known(got.Speed) {
			t.Fatalf("ping %d: the speed was kept against the policy", i)
		}
		if !geo.Known(p.Speed) {
			t.Fatalf("ping %d: the submission itself was changed", i)
		}
	}
	_ = append(s.Sealed[0], 1, 2, 3)
	if _, err := key.Open(s.Agent, session.Slot(s.Pings[1].Timestamp, 1000), s.Sealed[1]); err != nil {
		t.Error("appending to one sealed position changed its neighbour")
	}
	for name, foreign := range map[string]session.Ref{
		"tenant": {Tenant: "other", ID: m.ID}, "mission": {Tenant: m.Tenant, ID: session.NewID()},
	} {
		s.Ref = foreign
		if key.SealAll(s); len(s.Sealed) != 0 {
			t.Errorf("sealed positions of another %s", name)
		}
	}
}

func TestTrackKeyIsShared(t *testing.T) {
	key := trackKey(t, newFakeRing(), sealedMission())
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			p, agent := fullPing(), fmt.Sprintf("badge-%d", g)
			for slot := range int64(300) {
				p.Timestamp = int64(g)<<32 + slot
				got, err := key.Open(agent, slot, key.Seal(nil, agent, slot, &p))
				if err != nil || got.Timestamp != p.Timestamp {
					t.Errorf("%s in slot %d: %v", agent, slot, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestSealKeepsSpeedByPolicy(t *testing.T) {
	m := sealedMission()
	m.Policy.Speed = true
	key, p := trackKey(t, newFakeRing(), m), fullPing()
	if got, err := key.Open("a", 1, key.Seal(nil, "a", 1, &p)); err != nil || got.Speed != p.Speed {
		t.Errorf("speed %v, want %v (%v)", got.Speed, p.Speed, err)
	}
}

// FuzzOpen: nothing but what was sealed opens, and nothing panics.
func FuzzOpen(f *testing.F) {
	key := trackKey(f, newFakeRing(), sealedMission())
	golden, err := hex.DecodeString(goldenRow)
	if err != nil {
		f.Fatal(err)
	}
	const agent, slot = "badge-17", 1795255200
	f.Add(agent, int64(slot), golden)
	f.Add(agent, int64(slot+1), golden)
	f.Add("", int64(-1), []byte{})
	f.Fuzz(func(t *testing.T, a string, s int64, b []byte) {
		_, err := key.Open(a, s, b)
		if genuine := a == agent && s == slot && bytes.Equal(b, golden); genuine != (err == nil) {
			t.Errorf("%x for %q in slot %d: %v", b, a, s, err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	key, p := trackKey(b, newFakeRing(), sealedMission()), fullPing()
	dst := make([]byte, 0, session.SealedSize)
	b.ReportAllocs()
	for b.Loop() {
		dst = key.Seal(dst[:0], "badge-17", 5, &p)
	}
}

func BenchmarkSealParallel(b *testing.B) {
	key := trackKey(b, newFakeRing(), sealedMission())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		p, dst := fullPing(), make([]byte, 0, session.SealedSize)
		for pb.Next() {
			dst = key.Seal(dst[:0], "badge-17", 5, &p)
		}
	})
}

func BenchmarkSealAll100(b *testing.B) {
	m := sealedMission()
	key := trackKey(b, newFakeRing(), m)
	s := &session.Submission{Ref: session.Ref{Tenant: m.Tenant, ID: m.ID}, Agent: "badge-17", Pings: make([]session.Ping, 100)}
	for i := range s.Pings {
		s.Pings[i] = fullPing()
	}
	b.ReportAllocs()
	for b.Loop() {
		key.SealAll(s)
	}
}

func BenchmarkOpen(b *testing.B) {
	key, p := trackKey(b, newFakeRing(), sealedMission()), fullPing()
	sealed := key.Seal(nil, "badge-17", 5, &p)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.Open("badge-17", 5, sealed); err != nil {
			b.Fatal(err)
		}
	}
}
