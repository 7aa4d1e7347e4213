package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"testing"

	"ronde/geo"
)

// The canary: a place that appears nowhere else, and that no site is at.
const (
	canaryLatitude  = 48.8613579
	canaryLongitude = 2.3517246
)

// needle is a secret in one form, as it might lie about.
type needle struct {
	name  string
	bytes []byte
}

// coordinateNeedles are the forms in which a program is likely to write the canary down: as text of ten metres and
// finer, as integers of a ten-millionth and a millionth of a degree, as floating point in either byte order, as the cell
// that holds it. Forms of four bytes are searched for as pairs: alone they would be found by chance.
func coordinateNeedles(t testing.TB) (all []needle) {
	t.Helper()
	single := func(v float64) uint32 { return math.Float32bits(float32(v)) }
	scaled := func(v float64) uint32 { return uint32(int32(math.Round(v * 1e7))) }
	micro := func(v float64) uint32 { return uint32(int32(math.Round(v * 1e6))) }
	for name, v := range map[string]float64{"latitude": canaryLatitude, "longitude": canaryLongitude} {
		all = append(all,
			needle{name + " as text", fmt.Appendf(nil, "%.4f", math.Trunc(v*1e4)/1e4)},
			needle{name + " as digits", fmt.Appendf(nil, "%d", scaled(v))})
		for order, bo := range map[string]binary.AppendByteOrder{"big": binary.BigEndian, "little": binary.LittleEndian} {
			all = append(all,
				needle{name + " as int64, " + order, bo.AppendUint64(nil, uint64(scaled(v)))},
				needle{name + " as float64, " + order, bo.AppendUint64(nil, math.Float64bits(v))})
		}
	}
	for order, bo := range map[string]binary.AppendByteOrder{"big": binary.BigEndian, "little": binary.LittleEndian} {
		for name, form := range map[string]func(float64) uint32{"int32": scaled, "int32 of microdegrees": micro, "float32": single} {
			pair := bo.AppendUint32(bo.AppendUint32(nil, form(canaryLatitude)), form(canaryLongitude))
			reverse := bo.AppendUint32(bo.AppendUint32(nil, form(canaryLongitude)), form(canaryLatitude))
			all = append(all, needle{"pair of " + name + ", " + order, pair}, needle{"reverse pair of " + name + ", " + order, reverse})
		}
	}
	for resolution := 8; resolution <= geo.MaxResolution; resolution++ {
		cell, err := geo.CellOf(geo.Point{Latitude: canaryLatitude, Longitude: canaryLongitude}, resolution)
		check(t, err)
		all = append(all, needle{fmt.Sprintf("cell of resolution %d", resolution), []byte(cell.String())})
	}
	return all
}

// tokenNeedles are the parts of a signed token that let somebody in: its claims and its signature, as they are sent and
// as they are meant.
func tokenNeedles(t testing.TB, name, token string) (all []needle) {
	t.Helper()
	parts := strings.Split(token, ".")
	for i, part := range map[int]string{1: "claims", 2: "signature"} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		check(t, err)
		all = append(all, needle{name + "'s " + part, []byte(parts[i][len(parts[i])-40:])}, needle{name + "'s " + part + " in binary", raw[len(raw)-24:]})
	}
	return all
}

// keyNeedles are the secret of an API key.
func keyNeedles(key string) []needle {
	secret := key[strings.LastIndex(key, "_")+1:]
	return []needle{{"API key", []byte(secret[len(secret)-40:])}}
}

// finder looks for needles in whatever form somebody might have written them down.
type finder struct {
	byAnchor map[uint32][]needle // by four bytes from anchorAt on: the first two may be zero, as most of a database is
	anchored [1 << 16]bool       // whether there may be a needle with an anchor of that hash
	needles  int
}

const anchorAt = 2

func newFinder(needles []needle) *finder {
	f := &finder{byAnchor: map[uint32][]needle{}, needles: len(needles)}
	for _, n := range needles {
		for _, form := range formsOf(n) {
			anchor := binary.LittleEndian.Uint32(form.bytes[anchorAt:])
			f.byAnchor[anchor] = append(f.byAnchor[anchor], form)
			f.anchored[hashOf(anchor)] = true
		}
	}
	return f
}

func hashOf(anchor uint32) uint32 { return anchor * 0x9e3779b1 >> 16 }

// formsOf returns a needle as it is, as hexadecimal and base 64 wherever it may begin in what is encoded, and a text in
// UTF-16.
func formsOf(n needle) []needle {
	forms := []needle{n, {n.name + " in hexadecimal", []byte(hex.EncodeToString(n.bytes))}}
	forms = append(forms, needle{n.name + " in HEXADECIMAL", bytes.ToUpper(forms[1].bytes)})
	for before := range 3 {
		// What comes before and behind shares digits with the needle's first and last bytes.
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, before), n.bytes...))
		first, last := (before*8+5)/6, (before+len(n.bytes))*8/6
		for _, text := range []string{encoded[first:last], strings.NewReplacer("+", "-", "/", "_").Replace(encoded[first:last])} {
			forms = append(forms, needle{n.name + " in base 64", []byte(text)})
		}
	}
	var wide []byte
	for _, b := range n.bytes {
		if b < ' ' || b > '~' {
			return forms // no text
		}
		wide = binary.LittleEndian.AppendUint16(wide, uint16(b))
	}
	return append(forms, needle{n.name + " in UTF-16", wide})
}

// find returns the names of the needles that content has. It reads a hundred megabytes, by itself: the race detector
// would watch every byte of it.
//
//go:norace
func (f *finder) find(content []byte) (found []string) {
	seen := map[string]bool{}
	for i := anchorAt; i+4 <= len(content); i++ {
		anchor := binary.LittleEndian.Uint32(content[i:])
		if !f.anchored[hashOf(anchor)] {
			continue
		}
		for _, n := range f.byAnchor[anchor] {
			if bytes.HasPrefix(content[i-anchorAt:], n.bytes) && !seen[n.name] {
				seen[n.name] = true
				found = append(found, n.name)
			}
		}
	}
	return found
}

// TestFinderFindsEveryForm: each needle is found wherever it lies, in every way of writing it that the finder knows, and
// none is found where there is none.
func TestFinderFindsEveryForm(t *testing.T) {
	needles := append(coordinateNeedles(t), keyNeedles("ronde_1_"+strings.Repeat("canary2", 8))...)
	f := newFinder(needles)
	noise := []byte("latitude 48.86 longitude 2.35, cell 881fb46625fffff\x00\xff 488613 ")
	if found := f.find(noise); len(found) > 0 {
		t.Errorf("found %q in noise", found)
	}
	cases := 0
	for _, n := range needles {
		for offset := range 4 {
			surrounded := append(append(bytes.Repeat([]byte{'~'}, offset), n.bytes...), '~', '~', '~')
			for form, text := range map[string][]byte{
				"": surrounded, " in hexadecimal": []byte(hex.EncodeToString(surrounded)), " in HEXADECIMAL": bytes.ToUpper([]byte(hex.EncodeToString(surrounded))),
				" in base 64": []byte(base64.StdEncoding.EncodeToString(surrounded)),
			} {
				cases++
				if found := strings.Join(f.find(append(bytes.Clone(noise), text...)), ", "); !strings.Contains(found, n.name+form) {
					t.Errorf("%s%s after %d bytes: found %q", n.name, form, offset, found)
				}
			}
		}
	}
	if len(f.find([]byte("4\x008\x00.\x008\x006\x001\x003\x005\x00"))) == 0 {
		t.Error("a text in UTF-16 is not found")
	}
	t.Logf("%d needles, %d cases", len(needles), cases)
}
