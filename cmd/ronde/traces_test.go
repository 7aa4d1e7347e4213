package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ronde/geo"
)

// trace is a recording from the folder of traces that lies beside the project, with what its README says of it.
type trace struct {
	Name   string
	Points []point
}

// Timed returns the points that have a time, in the order of the recording.
func (tr trace) Timed() []point {
	return slices.DeleteFunc(slices.Clone(tr.Points), func(p point) bool { return p.Time.IsZero() })
}

// traceFacts are what the README of the traces says, as far as a reader can be held to it.
type traceFacts struct {
	name      string
	points    int
	timed     int
	start     string        // UTC, whole seconds
	length    time.Duration // rounded to a second
	longest   time.Duration // greatest step in time, rounded to a second
	over30    int           // steps over 30 s
	over120   int
	backwards int
	same      int // steps of no time at all
	metres    float64
	south     float64
	north     float64
	west      float64
	east      float64
}

var traces = []traceFacts{
	{"saint-mande-walk-phone-visorando.gpx", 198, 198, "2021-07-16 09:47:36", 4913 * time.Second, 86 * time.Second, 30, 0, 0, 0, 5040, 48.83629, 48.83761, 2.42165, 2.42481},
	{"saint-mande-walk-ublox-jumps.gpx", 1670, 1670, "2021-07-16 09:49:35", 2370 * time.Second, 61 * time.Second, 8, 0, 0, 0, 17020, 48.83607, 48.83832, 2.42076, 2.42475},
	{"saint-mande-walk-polar-watch.gpx", 2112, 2112, "2021-07-16 09:48:24", 2443 * time.Second, 60 * time.Second, 7, 0, 0, 0, 2540, 48.83673, 48.83761, 2.42190, 2.42455},
	{"vincennes-gnss-single-point.pos", 860, 860, "2019-09-12 13:00:18", 882 * time.Second, 14 * time.Second, 0, 0, 0, 0, 4320, 48.84051, 48.84545, 2.42863, 2.43552},
	{"limerick-bus-304-phone-strava.gpx", 2144, 2144, "2019-02-18 07:45:50", 4476 * time.Second, 138 * time.Second, 18, 2, 0, 0, 14190, 52.62405, 52.67278, -8.66181, -8.57074},
	{"munich-drive-1hz.json", 1194, 1194, "2014-09-10 04:54:07", 1195 * time.Second, 2 * time.Second, 0, 0, 0, 0, 13650, 48.12369, 48.16358, 11.43301, 11.56439},
	{"san-francisco-drive-iphone-tunnel.json", 13, 13, "2017-06-14 21:24:59", 31 * time.Second, 21 * time.Second, 0, 0, 0, 1, 620, 37.80193, 37.80288, -122.45957, -122.45274},
	{"switzerland-phone-posmo-outliers.csv", 1327, 1327, "2019-01-25 20:00:16", 3117 * time.Second, 63 * time.Second, 2, 0, 5, 0, 198880, 46.51693, 47.05162, 6.51756, 7.03890},
	{"korita-zbevnica-hike-missing-times.gpx", 871, 513, "2010-10-03 09:36:30", 13381 * time.Second, 2041 * time.Second, 65, 7, 0, 0, 27610, 45.36778, 45.46308, 14.00399, 14.16796},
	{"visnjan-car-etrex.gpx", 104, 104, "2020-12-18 06:15:50", 514 * time.Second, 49 * time.Second, 3, 0, 0, 0, 2730, 45.27248, 45.28091, 13.71152, 13.72245},
}

// tracesDir finds the traces beside the project's root, or skips the test.
func tracesDir(t testing.TB) string {
	t.Helper()
	root, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if parent := filepath.Dir(root); parent != root {
			root = parent
			continue
		}
		t.Fatal("no go.mod above the test")
	}
	dir := filepath.Join(root, "..", "shared", "data", "traces")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the recorded traces (shared/data/traces beside the project) are not here")
	}
	return dir
}

// loadTrace reads the trace with that file name. Without the folder of traces it skips the test.
func loadTrace(t testing.TB, name string) trace {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tracesDir(t), name))
	if err != nil {
		t.Fatal(err)
	}
	var read func(io.Reader) ([]point, error)
	switch {
	case strings.HasSuffix(name, ".gpx"):
		read = readGPX
	case strings.HasSuffix(name, ".csv"):
		read = readPosmo
	case strings.HasSuffix(name, ".pos"):
		read = readRTKLIB
	case strings.HasPrefix(name, "munich"):
		read = readBarefoot
	case strings.HasPrefix(name, "san-francisco"):
		read = readCoreLocation
	default:
		t.Fatalf("no reader for %s", name)
	}
	points, err := read(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return trace{name, points}
}

// readBarefoot reads the JSON of the Munich drive: WKT points, longitude first, and times with a zone without colon.
func readBarefoot(r io.Reader) ([]point, error) {
	var fixes []struct{ Point, Time string }
	if err := json.NewDecoder(r).Decode(&fixes); err != nil {
		return nil, err
	}
	var points []point
	for i, f := range fixes {
		at, err := time.Parse("2006-01-02 15:04:05-0700", f.Time)
		if err != nil {
			return nil, fmt.Errorf("fix %d: %w", i, err)
		}
		v, err := numbers(strings.Fields(strings.TrimSuffix(strings.TrimPrefix(f.Point, "POINT("), ")")))
		if err != nil || len(v) != 2 {
			return nil, fmt.Errorf("fix %d: %q: %w", i, f.Point, err)
		}
		points = append(points, point{Time: at, Position: geo.NewPosition(geo.Point{Latitude: v[1], Longitude: v[0]})})
	}
	return points, nil
}

// readCoreLocation reads the JSON of the iPhone: CLLocation's members, in which a negative value means none.
func readCoreLocation(r io.Reader) ([]point, error) {
	var fixes []struct {
		Latitude, Longitude, Timestamp              float64
		HorizontalAccuracy, Altitude, Course, Speed float32
	}
	if err := json.NewDecoder(r).Decode(&fixes); err != nil {
		return nil, err
	}
	var points []point
	for _, f := range fixes {
		p := point{
			Time:     time.UnixMicro(int64(math.Round(f.Timestamp * 1e6))).UTC(),
			Position: geo.NewPosition(geo.Point{Latitude: f.Latitude, Longitude: f.Longitude}),
		}
		p.Altitude = f.Altitude
		for _, m := range []struct {
			into *float32
			v    float32
		}{{&p.Accuracy, f.HorizontalAccuracy}, {&p.Heading, f.Course}, {&p.Speed, f.Speed}} {
			if m.v >= 0 {
				*m.into = m.v
			}
		}
		points = append(points, p)
	}
	return points, nil
}

// readPosmo reads the CSV of POSMO: semicolons, longitude first, times without a zone.
func readPosmo(r io.Reader) ([]point, error) {
	in := csv.NewReader(r)
	in.Comma = ';'
	rows, err := in.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || strings.Join(rows[0], ";") != "user_id;longitude;latitude;accuracy;tracked_at" {
		return nil, fmt.Errorf("unknown columns %q", rows[0])
	}
	var points []point
	for _, row := range rows[1:] {
		v, err := numbers(row[1:4])
		if err != nil {
			return nil, err
		}
		at, err := time.Parse("2006-01-02 15:04:05", row[4])
		if err != nil {
			return nil, err
		}
		p := point{Time: at, Position: geo.NewPosition(geo.Point{Latitude: v[1], Longitude: v[0]})}
		p.Accuracy = float32(v[2])
		points = append(points, p)
	}
	return points, nil
}

// readRTKLIB reads a solution of RTKLIB. Its accuracy is made of the standard deviations north and east. Its GPS time is
// read as if it were UTC, as the README does: it runs ahead by 18 s in 2019.
func readRTKLIB(r io.Reader) ([]point, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var points []point
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "%") {
			continue
		}
		if len(fields) < 9 {
			return nil, fmt.Errorf("a line has %d columns", len(fields))
		}
		at, err := time.Parse("2006/01/02 15:04:05", fields[0]+" "+fields[1])
		if err != nil {
			return nil, err
		}
		v, err := numbers(fields[2:9]) // latitude, longitude, height, Q, satellites, sdn, sde
		if err != nil {
			return nil, err
		}
		p := point{Time: at, Position: geo.NewPosition(geo.Point{Latitude: v[0], Longitude: v[1]})}
		p.Altitude, p.Accuracy = float32(v[2]), float32(math.Hypot(v[5], v[6]))
		points = append(points, p)
	}
	return points, nil
}

func numbers(fields []string) ([]float64, error) {
	var all []float64
	for _, f := range fields {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// What the README of the traces says is what the readers read.
func TestTraces(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(tracesDir(t), "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(traces)+1 { // and the README
		t.Errorf("the folder has %d files; the table knows %d traces", len(files), len(traces))
	}
	for _, want := range traces {
		t.Run(want.name, func(t *testing.T) {
			tr := loadTrace(t, want.name)
			got := measure(tr)
			if !near(got.metres, want.metres, 10) || !near(got.south, want.south, 1e-5) || !near(got.north, want.north, 1e-5) ||
				!near(got.west, want.west, 1e-5) || !near(got.east, want.east, 1e-5) {
				t.Errorf("length and box are %+v, want %+v", got, want)
			}
			got.metres, got.south, got.north, got.west, got.east = want.metres, want.south, want.north, want.west, want.east
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// The box of the README is that of the file's own digits: half of the last one is rounding.
func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance*0.51+1e-9 }

// measure computes of a trace what the README says.
func measure(tr trace) traceFacts {
	timed := tr.Timed()
	f := traceFacts{
		name: tr.Name, points: len(tr.Points), timed: len(timed),
		south: math.Inf(1), north: math.Inf(-1), west: math.Inf(1), east: math.Inf(-1),
	}
	first, last, _ := extent(timed)
	f.start, f.length = first.UTC().Format(time.DateTime), last.Sub(first).Round(time.Second)
	for i, p := range timed[1:] {
		step := p.Time.Sub(timed[i].Time)
		f.longest = max(f.longest, step.Round(time.Second))
		f.over30 += count(step > 30*time.Second)
		f.over120 += count(step > 120*time.Second)
		f.backwards += count(step < 0)
		f.same += count(step == 0)
	}
	for i, p := range tr.Points {
		f.south, f.north = min(f.south, p.Latitude), max(f.north, p.Latitude)
		f.west, f.east = min(f.west, p.Longitude), max(f.east, p.Longitude)
		if i > 0 {
			f.metres += tr.Points[i-1].Distance(p.Point)
		}
	}
	return f
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// The members that only some recordings have arrive where they belong.
func TestTraceMembers(t *testing.T) {
	vincennes := loadTrace(t, "vincennes-gnss-single-point.pos").Points
	least, most := float32(math.Inf(1)), float32(0)
	for _, p := range vincennes {
		least, most = min(least, p.Accuracy), max(most, p.Accuracy)
	}
	if !near(float64(least), 3.3, 0.1) || !near(float64(most), 15.8, 0.1) {
		t.Errorf("accuracy of the GNSS receiver is %v to %v, want 3.3 to 15.8", least, most)
	}
	phone := loadTrace(t, "san-francisco-drive-iphone-tunnel.json").Points
	if p := phone[0]; p.Accuracy != 5 || p.Speed != 22.9 || !geo.Known(p.Heading) || !geo.Known(p.Altitude) {
		t.Errorf("the first fix of the iPhone is %+v", p)
	}
	// By their text, since an unknown member is NaN, which does not equal itself.
	if a, b := fmt.Sprint(phone[len(phone)-1]), fmt.Sprint(phone[len(phone)-2]); a != b {
		t.Errorf("the last two fixes of the iPhone should be the same: %s, %s", a, b)
	}
	if p := loadTrace(t, "munich-drive-1hz.json").Points[0]; geo.Known(p.Accuracy) || geo.Known(p.Speed) || geo.Known(p.Altitude) {
		t.Errorf("the Munich drive says nothing but where and when, but there is %+v", p)
	}
	zero := 0
	for _, p := range loadTrace(t, "switzerland-phone-posmo-outliers.csv").Points {
		zero += count(p.Accuracy == 0)
	}
	if zero != 149 {
		t.Errorf("%d points of POSMO have accuracy 0, want 149", zero)
	}
}
