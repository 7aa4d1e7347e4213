package web

import (
	"io"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"ronde/session"
)

// exportSchema documents the document by its members: it is too long to be read
// as one, and nothing generates it.
var exportSchema = &huma.Schema{
	Type: huma.TypeObject, AdditionalProperties: false,
	Properties: map[string]*huma.Schema{
		"agent":       {Type: huma.TypeString},
		"exported_at": {Type: huma.TypeString, Format: "date-time"},
		"notices":     {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeObject}, Description: "Versions of the privacy notice that the agent acknowledged, with the time"},
		"missions":    {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeObject}, Description: "The agent's part in each mission: its windows and pauses, holds, counts of refused and removed positions, all stored positions, and who did or read what when"},
		"access":      {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeObject}, Description: "What the access log has about the agent and no mission"},
		"complete":    {Type: huma.TypeBoolean, Description: "true, and the last member"},
	},
	Required: []string{"agent", "exported_at", "notices", "missions", "access", "complete"},
}

// exportMission is what the export says of a mission before its positions.
type exportMission struct {
	ID        string             `json:"id"`
	Reference string             `json:"reference"`
	Site      string             `json:"site"`
	Alias     string             `json:"alias"`
	State     session.State      `json:"state"`
	StartsAt  time.Time          `json:"starts_at"`
	EndsAt    time.Time          `json:"ends_at"`
	BeganAt   *time.Time         `json:"began_at"`
	EndedAt   *time.Time         `json:"ended_at"`
	EndReason *session.Reason    `json:"end_reason"`
	Paused    bool               `json:"paused"`
	Relieved  bool               `json:"relieved"`
	SOS       *session.SOS       `json:"sos"`
	Windows   []reportWindow     `json:"windows"`
	Pauses    []reportPause      `json:"pauses"`
	Refused   reportRefused      `json:"refused"`
	Removed   int64              `json:"removed"`
	ExpiresOn *string            `json:"expires_on"`
	Track     session.TrackState `json:"track"`
	Holds     []exportHold       `json:"holds"` // what they keep of a track that is gone is among the positions
}

type exportHold struct {
	By     session.Role `json:"by"` // agent: at their own request, for their part alone
	Reason string       `json:"reason"`
	SetAt  time.Time    `json:"set_at"`
	Until  time.Time    `json:"until"`
}

// exportFix is one stored position with all that is stored of it.
type exportFix struct {
	Timestamp       int64    `json:"timestamp"`
	DeviceTimestamp int64    `json:"device_timestamp"`
	Latitude        degrees  `json:"latitude"`
	Longitude       degrees  `json:"longitude"`
	Accuracy        *float32 `json:"accuracy"`
	Altitude        *float32 `json:"altitude"`
	Heading         *float32 `json:"heading"`
	Speed           *float32 `json:"speed"`
	Battery         *float32 `json:"battery"`
	Mock            bool     `json:"mock"`
}

type exportNotice struct {
	Version        int       `json:"version"`
	AcknowledgedAt time.Time `json:"acknowledged_at"`
}

type exportAccess struct {
	At      time.Time            `json:"at"`
	Action  session.AccessAction `json:"action"`
	Role    *session.Role        `json:"role"`    // null: Ronde itself
	Subject *string              `json:"subject"` // the link, key or token by which
	Reason  *string              `json:"reason"`
}

// jsonExport writes an export as one JSON document. The encoder passes on what it
// has as it goes.
type jsonExport struct{ enc *jsontext.Encoder }

func newJSONExport(w io.Writer) *jsonExport { return &jsonExport{jsontext.NewEncoder(w)} }

func (*jsonExport) contentType() string { return "application/json" }
func (*jsonExport) extension() string   { return ".json" }

func (e *jsonExport) open(agent string, at time.Time, notices []session.Acknowledgement) error {
	list := make([]exportNotice, len(notices))
	for i, n := range notices {
		list[i] = exportNotice{n.Version, n.At}
	}
	return e.write(jsontext.BeginObject, "agent", agent, "exported_at", at, "notices", list, "missions", jsontext.BeginArray)
}

func (e *jsonExport) mission(p *session.Part) error {
	return e.write(jsontext.BeginObject, "mission", newExportMission(p), "positions", jsontext.BeginArray)
}

func (e *jsonExport) fixes(_ *session.Part, page []session.Fix) error {
	for i := range page {
		f := &page[i]
		err := e.write(exportFix{
			Timestamp: f.At.UnixMilli(), DeviceTimestamp: f.Timestamp, Latitude: degrees(f.Latitude), Longitude: degrees(f.Longitude),
			Accuracy: known(f.Accuracy), Altitude: known(f.Altitude), Heading: known(f.Heading), Speed: known(f.Speed),
			Battery: known(f.Battery), Mock: f.Mock,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *jsonExport) leave(log accessPages) error {
	return e.log(log, jsontext.EndObject)
}

func (e *jsonExport) close(log accessPages) error {
	return e.log(log, "complete", true, jsontext.EndObject)
}

// log closes the list before it, writes the rows of the access log, and what
// comes after them.
func (e *jsonExport) log(log accessPages, after ...any) error {
	if err := e.write(jsontext.EndArray, "access", jsontext.BeginArray); err != nil {
		return err
	}
	err := log(func(page []session.Access) error {
		for i := range page {
			if err := e.write(newExportAccess(&page[i])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return e.write(append([]any{jsontext.EndArray}, after...)...)
}

// write writes tokens as they are and everything else as the JSON of its value.
func (e *jsonExport) write(parts ...any) error {
	for _, part := range parts {
		var err error
		if token, ok := part.(jsontext.Token); ok {
			err = e.enc.WriteToken(token)
		} else {
			err = json.MarshalEncode(e.enc, part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func newExportMission(p *session.Part) exportMission {
	m, common := p.Mission, newReportAgent(&p.AgentReport)
	holds := make([]exportHold, len(p.Holds))
	for i, h := range p.Holds {
		holds[i] = exportHold{h.Role, h.Reason, h.SetAt, h.Until}
	}
	return exportMission{
		Holds: holds,
		ID:    m.ID.String(), Reference: m.Reference, Site: m.Site.Name, Alias: p.Alias, State: m.State,
		StartsAt: m.StartsAt, EndsAt: m.EndsAt, BeganAt: orNull(m.BeganAt), EndedAt: orNull(m.EndedAt), EndReason: orNull(m.EndReason),
		Paused: p.Paused, Relieved: p.Relieved, SOS: orNull(p.SOS), Windows: common.Windows, Pauses: common.Pauses,
		Refused: common.Refused, Removed: p.Removed, ExpiresOn: orNull(m.ExpiresOn.String()), Track: p.Track,
	}
}

func newExportAccess(a *session.Access) exportAccess {
	row := exportAccess{At: a.At, Action: a.Action, Role: orNull(a.Role), Reason: orNull(a.Why)}
	if a.Subject != uuid.Nil {
		row.Subject = orNull(a.Subject.String())
	}
	return row
}
