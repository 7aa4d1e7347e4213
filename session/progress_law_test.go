package session_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"ronde/geo"
	"ronde/session"
)

// sighting is a fix with its stored time.
type sighting struct {
	at  int64
	fix geo.Position
}

// walk draws the fixes of an agent: steps and rests, with jumps, repeats, gaps,
// odd accuracies and fixes of the past among them.
func walk(rt *rapid.T) []sighting {
	var all []sighting
	at, place := int64(0), newMission().Site.Center.Moved(0, rapid.Float64Range(-1500, 1500).Draw(rt, "from"))
	for range rapid.IntRange(0, 80).Draw(rt, "fixes") {
		at += rapid.SampledFrom([]int64{1000, 1000, 1000, 5000, 20_000, 130_000, -3000, 0}).Draw(rt, "step")
		speed := rapid.SampledFrom([]float64{0, 0, 1.2, 15, 15, 800}).Draw(rt, "speed")
		next := place.Moved(rapid.Float64Range(-1, 1).Draw(rt, "east")*speed, -speed)
		if speed < 100 {
			place = next
		}
		fix := geo.NewPosition(next)
		fix.Accuracy = rapid.SampledFrom([]float32{5, 10, 65, 300, 0, geo.Unknown}).Draw(rt, "accuracy")
		fix.Speed = float32(speed)
		fix.Mock = rapid.IntRange(0, 9).Draw(rt, "mock") == 0
		all = append(all, sighting{at, fix})
	}
	return all
}

func foldAll(p *session.Progress, m *session.Mission, all []sighting) {
	for i := range all {
		p.Fold(m, all[i].at, &all[i].fix)
	}
}

// bits is all there is to know of a progress.
func bits(rt *rapid.T, p *session.Progress) []byte {
	b, err := p.AppendBinary(nil)
	if err != nil || len(b) != session.ProgressSize {
		rt.Fatalf("%d bytes of %+v: %v", len(b), p, err)
	}
	return b
}

// The takeover law: to save, load and fold on is to fold all, to the bit.
func TestTakeoverLaw(t *testing.T) {
	m := newMission()
	rapid.Check(t, func(rt *rapid.T) {
		all := walk(rt)
		cut := rapid.IntRange(0, len(all)).Draw(rt, "cut")
		var whole, first, second session.Progress
		foldAll(&whole, m, all)
		foldAll(&first, m, all[:cut])
		if err := second.UnmarshalBinary(bits(rt, &first)); err != nil {
			rt.Fatal(err)
		}
		foldAll(&second, m, all[cut:])
		if !bytes.Equal(bits(rt, &second), bits(rt, &whole)) {
			rt.Fatalf("taken over after %d:\n%+v, want\n%+v", cut, second, whole)
		}
	})
}

// The late-fix law: late fixes are counted, and the fold is otherwise that of
// the fixes that were news. Every fix is counted once.
func TestLateFixLaw(t *testing.T) {
	m := newMission()
	rapid.Check(t, func(rt *rapid.T) {
		all := rapid.Permutation(walk(rt)).Draw(rt, "order")
		var got, want session.Progress
		newest, late := int64(0), int64(0)
		for i := range all {
			if news := got.Fold(m, all[i].at, &all[i].fix); news != (all[i].at > newest) {
				rt.Fatalf("a fix of %d after one of %d is news: %v", all[i].at, newest, news)
			}
			if all[i].at <= newest {
				late++
				continue
			}
			newest = all[i].at
			want.Fold(m, all[i].at, &all[i].fix)
		}
		c := got.Counts
		if c.Late != late || c.Used+c.Imprecise+c.Jumps+c.Frozen+c.Mock+c.Late != int64(len(all)) {
			rt.Fatalf("%d fixes, %d of them late, are counted as %+v", len(all), late, c)
		}
		want.Counts.Late = late
		if !bytes.Equal(bits(rt, &got), bits(rt, &want)) {
			rt.Fatalf("with late fixes:\n%+v, without\n%+v", got, want)
		}
	})
}

// What is stored is folded: positions as they were sent, and as they come from
// the store, mean the same to the bit.
func TestStoredLaw(t *testing.T) {
	m := newMission()
	key := trackKey(t, newFakeRing(), sealedMission())
	rapid.Check(t, func(rt *rapid.T) {
		var sent, read session.Progress
		for _, s := range walk(rt) {
			sent.Fold(m, s.at, &s.fix)
			ping := session.Ping{Timestamp: s.at, Position: s.fix}
			opened, err := key.Open("a", 1, key.Seal(nil, "a", 1, &ping))
			if err != nil {
				rt.Fatal(err)
			}
			read.Fold(m, s.at, &opened.Position)
		}
		if !bytes.Equal(bits(rt, &sent), bits(rt, &read)) {
			rt.Fatalf("sent:\n%+v, read\n%+v", sent, read)
		}
	})
}

// The ETA law: never negative, its range around it, and the straight time that
// it rests on drifts by no more than it says.
func TestETALaw(t *testing.T) {
	m := newMission()
	rapid.Check(t, func(rt *rapid.T) {
		var p session.Progress
		for _, s := range walk(rt) {
			was, at := p.ETA(), p.Timestamp
			p.Fold(m, s.at, &s.fix)
			eta := p.ETA()
			if eta.LowerS < 0 || eta.LowerS > eta.Seconds || eta.Seconds > eta.UpperS {
				rt.Fatalf("%+v", eta)
			}
			if dt := float64(p.Timestamp-at) / 1000; was.Known() && eta.Known() && dt > 0 {
				moved, bound := eta.Seconds-(was.Seconds-dt*1.2), dt*(0.05*was.Seconds+1.2)
				if moved > bound+1e-6 || eta.Seconds > 1e-6 && -moved > bound+1e-6 {
					rt.Fatalf("in %v s from %+v to %+v", dt, was, eta)
				}
			}
		}
	})
}

// A fold takes no memory.
func TestFoldAllocatesNothing(t *testing.T) {
	m, at, fixes := newMission(), int64(0), manyFixes()
	var p session.Progress
	if n := testing.AllocsPerRun(1000, func() {
		at += 1000
		p.Fold(m, at, &fixes[at/1000%int64(len(fixes))])
	}); n != 0 {
		t.Errorf("%v allocations a fix", n)
	}
}

// manyFixes are a way to the site, again and again.
func manyFixes() []geo.Position {
	fixes := make([]geo.Position, 1024)
	for i := range fixes {
		fixes[i] = metres(2000-float64(i)*2, 10)
	}
	return fixes
}

func BenchmarkFold(b *testing.B) {
	m, fixes := newMission(), manyFixes()
	var p session.Progress
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Fold(m, int64(i+1)*1000, &fixes[i%len(fixes)])
	}
}
