package main

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"ronde/geo"
)

// The agent socket, as its client knows it. The bounds are the contract's.
const (
	agentPath     = "/v1/agent"
	agentProtocol = "ronde.agent.v1"
	maxFrameBytes = 32 << 10
	maxFramePings = 100
	// maxHello bounds what the server may send at once: its greatest frame is a hello with the text of the notice.
	maxHello = 1 << 20
)

// final lists the close codes after which a phone does not come back, with what they mean.
var final = map[websocket.StatusCode]string{
	4001: "the token is missing, malformed or expired",
	4003: "the agent's access is revoked",
	4004: "the mission is over",
	4008: "too fast, or against the protocol",
	4009: "replaced by a newer connection of the same agent",
}

// serverFrame is any frame from the server. Its type says which members count; those that are not known are ignored.
type serverFrame struct {
	Type   string `json:"type"`
	Seq    uint64 `json:"seq"`   // ack, refused
	Code   string `json:"code"`  // refused, retry, error
	State  string `json:"state"` // state, sos
	Duty   string `json:"duty"`  // hello, state
	Detail string `json:"detail"`

	AfterMS int64 `json:"after_ms"` // retry

	// Of hello.
	Mission  helloMission `json:"mission"`
	Notice   *helloNotice `json:"notice"`
	Settings struct {
		MaxBatch int `json:"max_batch"`
	} `json:"settings"`
	ServerTime int64 `json:"server_time"`
}

// helloMission is what a phone needs of what the server tells it of its mission.
type helloMission struct {
	ID    string    `json:"id"`
	State string    `json:"state"`
	Site  helloSite `json:"site"`
}

// helloSite is the site of a mission: a circle of Point and RadiusM, or an Area.
type helloSite struct {
	Point *struct {
		Latitude  float64 `json:"latitude"`
		Longitude float64 `json:"longitude"`
	} `json:"point"`
	RadiusM float64   `json:"radius_m"`
	Area    *geo.Area `json:"area"`
}

// helloNotice is the tenant's privacy notice.
type helloNotice struct {
	Version      int  `json:"version"`
	Acknowledged bool `json:"acknowledged"`
}

func decodeServerFrame(data []byte) (serverFrame, error) {
	var f serverFrame
	err := json.Unmarshal(data, &f)
	return f, err
}

// retryAfter is how long the server asks a phone to wait. What is out of bounds would be the server's mistake, and is
// brought into them, so that the phone neither storms nor falls asleep.
func (f *serverFrame) retryAfter() time.Duration {
	return time.Duration(min(max(f.AfterMS, 100), 60_000)) * time.Millisecond
}

// Frames are appended by hand: a load generator writes tens of thousands of pings a second.

func appendPing(b []byte, seq uint64, timestamp int64, p *geo.Position) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"timestamp":`...)
	b = strconv.AppendInt(b, timestamp, 10)
	b = appendNumber(append(b, `,"latitude":`...), p.Latitude, 64)
	b = appendNumber(append(b, `,"longitude":`...), p.Longitude, 64)
	b = appendKnown(b, `,"accuracy":`, p.Accuracy)
	b = appendKnown(b, `,"altitude":`, p.Altitude)
	b = appendKnown(b, `,"heading":`, p.Heading)
	b = appendKnown(b, `,"speed":`, p.Speed)
	b = appendKnown(b, `,"battery":`, p.Battery)
	if p.Mock {
		b = append(b, `,"mock":true`...)
	}
	return append(b, '}')
}

func appendKnown(b []byte, name string, v float32) []byte {
	if !geo.Known(v) {
		return b
	}
	return appendNumber(append(b, name...), float64(v), 32)
}

// appendNumber appends the shortest form that reads back as v, or null where JSON has no form for it.
func appendNumber(b []byte, v float64, bits int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	format := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e' // 300 zeros would be valid and fill the frame
	}
	return strconv.AppendFloat(b, v, format, -1, bits)
}

// controlFrame encodes a frame other than pings. The members are strings, numbers and booleans, which always marshal.
func controlFrame(kind string, members map[string]any) []byte {
	m := map[string]any{"type": kind}
	for name, v := range members {
		m[name] = v
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic("control frame does not marshal: " + err.Error())
	}
	return b
}
