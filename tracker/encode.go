package tracker

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"ronde/geo"
	"ronde/session"
)

// The frames of the path of a ping are appended by hand, since they are
// written thousands of times a second; the rare ones go through
// encoding/json.

func appendAck(b []byte, seq uint64) []byte {
	b = append(b, `{"type":"ack","seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	return append(b, '}')
}

func appendRefused(b []byte, seq uint64, code string) []byte {
	b = append(b, `{"type":"refused","seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"code":"`...)
	b = append(b, code...) // codes are our own constants
	return append(b, `"}`...)
}

func appendRetry(b []byte, code string, after time.Duration) []byte {
	b = append(b, `{"type":"retry","code":"`...)
	b = append(b, code...)
	b = append(b, `","after_ms":`...)
	b = strconv.AppendInt(b, after.Milliseconds(), 10)
	return append(b, '}')
}

// appendAgent appends what one view shows of one agent.
func appendAgent(b []byte, alias string, version int64, seen *session.Seen) []byte {
	b = append(b, `{"alias":`...)
	b = appendString(b, alias)
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, version, 10)
	if seen.Phase != "" {
		b = append(append(append(b, `,"phase":"`...), seen.Phase...), '"')
	}
	if seen.Signal != "" {
		b = append(append(append(b, `,"signal":"`...), seen.Signal...), '"')
	}
	if seen.HasFix() {
		b = append(b, `,"timestamp":`...)
		b = strconv.AppendInt(b, seen.Timestamp, 10)
	}
	if seen.Shown {
		b = appendShown(b, seen)
	}
	return append(b, '}')
}

func appendShown(b []byte, seen *session.Seen) []byte {
	b = append(b, `,"position":{"latitude":`...)
	b = appendDegrees(b, seen.Position.Latitude)
	b = append(b, `,"longitude":`...)
	b = appendDegrees(b, seen.Position.Longitude)
	if geo.Known(seen.Position.Accuracy) {
		b = append(b, `,"accuracy":`...)
		b = strconv.AppendFloat(b, float64(seen.Position.Accuracy), 'f', -1, 32)
	}
	b = append(b, '}')
	if seen.Cell != 0 {
		b = append(append(append(b, `,"cell":"`...), seen.Cell.String()...), '"')
	}
	if geo.Known(seen.Position.Heading) {
		b = append(b, `,"heading":`...)
		b = strconv.AppendFloat(b, float64(seen.Position.Heading), 'f', -1, 32)
	}
	b = append(b, `,"distance_m":`...)
	b = strconv.AppendFloat(b, seen.DistanceM, 'f', 0, 64)
	if seen.ETA.Known() {
		b = append(b, `,"eta_seconds":`...)
		b = strconv.AppendFloat(b, seen.ETA.Seconds, 'f', 0, 64)
		b = append(b, `,"eta_lower_seconds":`...)
		b = strconv.AppendFloat(b, seen.ETA.LowerS, 'f', 0, 64)
		b = append(b, `,"eta_upper_seconds":`...)
		b = strconv.AppendFloat(b, seen.ETA.UpperS, 'f', 0, 64)
	}
	return b
}

// appendDegrees writes seven decimals, about a centimetre, without trailing
// zeros.
func appendDegrees(b []byte, v float64) []byte {
	b = strconv.AppendFloat(b, v, 'f', 7, 64)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	if b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	return b
}

// appendString appends s as a JSON string. Aliases have no character that
// needs escaping except by accident, so encoding/json does that case.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(s)
			if err != nil { // a string always marshals
				return append(b, `""`...)
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

type missionFrame struct {
	ID        string    `json:"id"`
	Reference string    `json:"reference"`
	Site      siteFrame `json:"site"`
	State     string    `json:"state"`
	StartsAt  string    `json:"starts_at"`
	EndsAt    string    `json:"ends_at"`
	Deadline  string    `json:"deadline,omitempty"`
}

// siteFrame is a circle of Point and RadiusM, or an Area.
type siteFrame struct {
	Name    string      `json:"name"`
	Point   *pointFrame `json:"point,omitempty"`
	RadiusM *float64    `json:"radius_m,omitempty"`
	Area    *geo.Area   `json:"area,omitempty"`
}

type pointFrame struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

func newMissionFrame(m *session.Mission) missionFrame {
	return missionFrame{
		ID: m.ID.String(), Reference: m.Reference, State: string(m.State),
		Site:     newSiteFrame(&m.Site),
		StartsAt: rfc3339(m.StartsAt), EndsAt: rfc3339(m.EndsAt),
	}
}

func newSiteFrame(s *geo.Site) siteFrame {
	if s.Area != nil {
		return siteFrame{Name: s.Name, Area: s.Area}
	}
	return siteFrame{Name: s.Name, Point: &pointFrame{s.Center.Latitude, s.Center.Longitude}, RadiusM: &s.RadiusM}
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.999Z07:00")
}

type helloFrame struct {
	Type     string       `json:"type"`
	Mission  missionFrame `json:"mission"`
	Duty     session.Duty `json:"duty"`
	Notice   *noticeFrame `json:"notice,omitempty"`
	Settings struct {
		IntervalMS int64 `json:"interval_ms"`
		MaxBatch   int   `json:"max_batch"`
	} `json:"settings"`
	ServerTime int64 `json:"server_time"`
}

type noticeFrame struct {
	Version      int    `json:"version"`
	Text         string `json:"text"`
	Acknowledged bool   `json:"acknowledged"`
}

func encodeHello(m *session.Mission, agent string, notice *noticeFrame, now time.Time) []byte {
	f := helloFrame{Type: "hello", Mission: newMissionFrame(m), Duty: m.Duty(agent), Notice: notice, ServerTime: now.UnixMilli()}
	f.Mission.Deadline = rfc3339(m.Deadline)
	f.Settings.IntervalMS = m.Policy.MinInterval.Milliseconds()
	f.Settings.MaxBatch = maxBatch
	return encode(f)
}

func encodeState(m *session.Mission) []byte {
	return encode(struct {
		Type  string        `json:"type"`
		State session.State `json:"state"`
	}{"state", m.State})
}

// encodeAgentState says where the mission and the agent stand. by is who made
// the last change: of the agent's own pause, the agent.
func encodeAgentState(m *session.Mission, agent string) []byte {
	by := m.ChangedBy
	if a := m.Agent(agent); a != nil && a.Paused && m.State == session.Active {
		by = session.ByAgent
	}
	return encodeAgentStateBy(m, agent, by)
}

func encodeAgentStateBy(m *session.Mission, agent string, by session.Reason) []byte {
	return encode(struct {
		Type  string         `json:"type"`
		State session.State  `json:"state"`
		Duty  session.Duty   `json:"duty"`
		By    session.Reason `json:"by,omitempty"`
	}{"state", m.State, m.Duty(agent), by})
}

func encodeError(code, detail string) []byte {
	return encode(struct {
		Type   string `json:"type"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{"error", code, detail})
}

func encodeViewers(n int) []byte {
	return encode(struct {
		Type  string `json:"type"`
		Count int    `json:"count"`
	}{"viewers", n})
}

func encodeSOS(state session.SOS) []byte {
	return encode(struct {
		Type  string      `json:"type"`
		State session.SOS `json:"state"`
	}{"sos", state})
}

func encodeDegraded(code string) []byte {
	if code == "" {
		return []byte(`{"type":"recovered"}`)
	}
	return encode(struct {
		Type string `json:"type"`
		Code string `json:"code"`
	}{"degraded", code})
}

type summaryFrame struct {
	BeganAt *string `json:"began_at"`
	EndedAt string  `json:"ended_at"`
}

func encodeEnded(m *session.Mission) []byte {
	f := struct {
		Type    string         `json:"type"`
		Reason  session.Reason `json:"reason"`
		Summary summaryFrame   `json:"summary"`
	}{Type: "ended", Reason: m.EndReason, Summary: summaryFrame{EndedAt: rfc3339(m.EndedAt)}}
	if m.State == session.Cancelled {
		f.Reason = "cancelled"
	}
	if !m.BeganAt.IsZero() {
		began := rfc3339(m.BeganAt)
		f.Summary.BeganAt = &began
	}
	return encode(f)
}

// encode marshals a frame of our own types, which cannot fail.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("frame does not marshal: %v", err))
	}
	return b
}
