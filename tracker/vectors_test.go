package tracker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// vector is one frame of testdata/frames; the files' own doc says what its
// members mean.
type vector struct {
	Name    string          `json:"name"`
	Frame   json.RawMessage `json:"frame"`
	Text    *string         `json:"text"`
	Base64  []byte          `json:"base64"`
	Decodes json.RawMessage `json:"decodes"`
	Refused []uint64        `json:"refused"`
	Error   string          `json:"error"`
}

// bytes returns the frame as it is on the wire.
func (v *vector) bytes() []byte {
	switch {
	case v.Text != nil:
		return []byte(*v.Text)
	case v.Base64 != nil:
		return v.Base64
	}
	return v.Frame
}

// vectors reads one file of wire vectors.
func vectors(t testing.TB, file string) []vector {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "frames", file))
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Vectors []vector `json:"vectors"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	names := map[string]bool{}
	for _, v := range f.Vectors {
		if v.Name == "" || names[v.Name] {
			t.Fatalf("%s: the name %q is empty or used twice", file, v.Name)
		}
		names[v.Name] = true
	}
	if len(f.Vectors) == 0 {
		t.Fatalf("%s: no vectors", file)
	}
	return f.Vectors
}

// compact strips the space between the tokens of a frame, and nothing else:
// the order of members and the text of numbers stay.
func compact(t testing.TB, frame []byte) string {
	t.Helper()
	v := jsontext.Value(append([]byte(nil), frame...))
	if err := v.Compact(); err != nil {
		t.Fatalf("%s: %v", frame, err)
	}
	return string(v)
}
