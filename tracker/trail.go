package tracker

import (
	"context"
	"strconv"
	"time"

	"ronde/session"
)

// Bounds of a trail.
const (
	trailPage   = 1000 // points of one frame
	trailPoints = 5000 // points in all
)

// trail renders the newest of a mission's stored track as a viewer's profile shows it,
// for a link that includes it. It is empty unless the mission is active: the
// track of a mission that is paused or over is nobody's to watch.
func (h *Hub) trail(v *viewer) ([][]byte, error) {
	if !v.principal.View.Trail || v.profile == session.ProfileStatus {
		return nil, nil
	}
	v.room.mu.Lock()
	m, now := v.room.mission, v.room.storeTime()
	v.room.mu.Unlock()
	if m.State != session.Active {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(h.ctx, storeTimeout)
	defer cancel()
	points := map[string][]byte{}
	// At most one position is kept a slot, so this far back there are no more
	// than trailPoints.
	reach := m.Policy.MinInterval * time.Duration(trailPoints/len(m.Agents))
	after := session.Cursor{At: now.Add(-reach)}
	for n := 0; n < trailPoints; n += trailPage {
		fixes, err := h.service.Track(ctx, m, after, trailPage)
		if err != nil {
			return nil, err
		}
		for i := range fixes {
			if err := addPoint(points, m, v.profile, &fixes[i]); err != nil {
				return nil, err
			}
		}
		if len(fixes) < trailPage {
			break
		}
		after = fixes[len(fixes)-1].Cursor()
	}
	return trailFrames(m, points), nil
}

func addPoint(points map[string][]byte, m *session.Mission, profile session.Profile, fix *session.Fix) error {
	if fix.Mock {
		return nil
	}
	at := fix.At.UnixMilli()
	seen, err := session.See(session.Progress{Timestamp: at, Position: fix.Position}, &m.Site, profile)
	if err != nil {
		return err
	}
	b := points[fix.Agent]
	if len(b) > 0 {
		b = append(b, ',')
	}
	b = append(b, '[')
	b = strconv.AppendInt(b, at, 10)
	b = appendDegrees(append(b, ','), seen.Position.Longitude)
	b = appendDegrees(append(b, ','), seen.Position.Latitude)
	points[fix.Agent] = append(b, ']')
	return nil
}

func trailFrames(m *session.Mission, points map[string][]byte) [][]byte {
	var frames [][]byte
	for i := range m.Agents {
		a := &m.Agents[i]
		if a.Relieved || a.Paused || len(points[a.ID]) == 0 {
			continue
		}
		b := appendString([]byte(`{"type":"trail","alias":`), a.Alias)
		b = append(b, `,"points":[`...)
		b = append(b, points[a.ID]...)
		frames = append(frames, append(b, "]}"...))
	}
	return frames
}
