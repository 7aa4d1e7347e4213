package main

import (
	"math"
	"math/rand/v2"
	"time"

	"ronde/geo"
)

// round makes up the walk of an agent: from some way off to the site, from corner to corner inside it, a moment's
// stop at each, and around again. The same round with the same seed gives the same points.
type round struct {
	Center   geo.Point
	Radius   float64 // of the site, metres
	Approach float64 // how far outside the site the first lap begins, metres; 0 begins it inside
	Seed     uint64
}

// What walking with a phone in the hand looks like; lengths in metres, times in seconds.
const (
	walkingPace  = 1.3
	paceSpread   = 0.2
	stopShortest = 4.0
	stopLongest  = 15.0
	corners      = 7
	// The error of a receiver wanders: each second keeps most of the last one's.
	noiseKept  = 0.95
	noiseSigma = 2.5
	metresUp   = 60 // altitude of it all
	fullCharge = 0.95
	drain      = 0.1 / 3600 // of the charge, a second
)

// vector is a place relative to the centre, metres east and north.
type vector struct{ east, north float64 }

func (v vector) minus(w vector) vector { return vector{v.east - w.east, v.north - w.north} }
func (v vector) length() float64       { return math.Hypot(v.east, v.north) }
func (v vector) toward(w vector, by float64) vector {
	if d := w.minus(v).length(); d > by {
		return vector{v.east + (w.east-v.east)*by/d, v.north + (w.north-v.north)*by/d}
	}
	return w
}

// heading returns the direction of v in degrees clockwise from north, 0 up to but not 360.
func (v vector) heading() float64 {
	return math.Mod(math.Atan2(v.east, v.north)*180/math.Pi+360, 360)
}

// track returns the laps of the round. The first one brings the agent to the site.
func (r round) track() track {
	return func(lap int) []point {
		w := &walker{
			// One stream for the corners, which are the same in every lap, and one for what differs.
			rand:    rand.New(rand.NewPCG(r.Seed, uint64(lap)+1)),
			round:   r,
			battery: fullCharge,
		}
		route := r.corners(rand.New(rand.NewPCG(r.Seed, 0)))
		w.at = route[0]
		if lap == 0 && r.Approach > 0 {
			scale := (r.Radius + r.Approach) / max(route[0].length(), 1)
			w.at = vector{route[0].east * scale, route[0].north * scale}
			w.walk(route[0])
		}
		for i := range route {
			w.stand()
			w.walk(route[(i+1)%len(route)])
		}
		return w.points
	}
}

// corners places the stops of the round inside the site, in order around its centre.
func (r round) corners(rnd *rand.Rand) []vector {
	route := make([]vector, corners)
	turn := rnd.Float64() * 2 * math.Pi
	for i := range route {
		angle := turn + (float64(i)+0.6*(rnd.Float64()-0.5))*2*math.Pi/corners
		distance := r.Radius * (0.35 + 0.5*rnd.Float64())
		route[i] = vector{distance * math.Sin(angle), distance * math.Cos(angle)}
	}
	return route
}

// walker makes a point a second on its way.
type walker struct {
	round   round
	rand    *rand.Rand
	at      vector
	noise   vector
	battery float64
	points  []point
}

// walk goes to a place at a pace that differs from stretch to stretch.
func (w *walker) walk(to vector) {
	pace := walkingPace + paceSpread*(2*w.rand.Float64()-1)
	for w.at != to {
		way := to.minus(w.at)
		w.at = w.at.toward(to, pace)
		w.fix(pace, way.heading())
	}
}

// stand stays for a moment, as one does to try a door.
func (w *walker) stand() {
	for range int(stopShortest + (stopLongest-stopShortest)*w.rand.Float64()) {
		w.fix(0, math.NaN())
	}
}

// fix adds what the receiver says now. heading is NaN for somebody who stands, as the Geolocation API has it.
func (w *walker) fix(speed, heading float64) {
	fresh := noiseSigma * math.Sqrt(1-noiseKept*noiseKept)
	w.noise.east = noiseKept*w.noise.east + fresh*w.rand.NormFloat64()
	w.noise.north = noiseKept*w.noise.north + fresh*w.rand.NormFloat64()
	w.battery = max(0.05, w.battery-drain)
	if speed > 0 {
		speed = max(0.1, speed+0.15*w.rand.NormFloat64())
		heading = math.Mod(heading+8*w.rand.NormFloat64()+360, 360)
	}
	p := geo.NewPosition(offset(w.round.Center, w.at.east+w.noise.east, w.at.north+w.noise.north))
	p.Accuracy = tenths(4 + 2*w.noise.length()*w.rand.Float64())
	p.Altitude = tenths(metresUp + w.rand.NormFloat64())
	p.Speed, p.Heading = tenths(speed), tenths(heading)
	p.Battery = float32(math.Round(w.battery*100) / 100)
	// Any date will do: of a recording's times only the distances count.
	at := time.Unix(0, 0).UTC().Add(time.Duration(len(w.points)) * time.Second)
	w.points = append(w.points, point{Time: at, Position: p})
}

// tenths rounds to what a phone's sensors are good for. NaN stays.
func tenths(v float64) float32 { return float32(math.Round(v*10) / 10) }

// offset returns the point some metres east and north of p, on the plane that touches the Earth there: good to a
// metre over the few kilometres of a round, anywhere but at the poles.
func offset(p geo.Point, east, north float64) geo.Point {
	const metresPerDegree = geo.EarthRadius * math.Pi / 180
	around := max(math.Cos(p.Latitude*math.Pi/180), 1e-6)
	lon := p.Longitude + east/(metresPerDegree*around)
	return geo.Point{
		Latitude:  round7(min(max(p.Latitude+north/metresPerDegree, -90), 90)),
		Longitude: round7(math.Mod(lon+540, 360) - 180),
	}
}

// round7 rounds degrees to a centimetre.
func round7(v float64) float64 { return math.Round(v*1e7) / 1e7 }
