package session

import (
	"reflect"
	"strings"
	"testing"
)

// TestStoredFieldsAreWhatIsStored: the policy names what survives being stored,
// and nothing else. What a position may hold is found by reflection, so that a
// new member cannot be forgotten.
func TestStoredFieldsAreWhatIsStored(t *testing.T) {
	named := map[string]bool{}
	for _, f := range StoredFields() {
		named[f.Name] = true
		if f.OnPolicy != (f.Name == "speed") {
			t.Errorf("%s: only on policy %v", f.Name, f.OnPolicy)
		}
	}
	p := Ping{Seq: 7, Timestamp: 1}
	p.Latitude, p.Longitude, p.Accuracy, p.Altitude, p.Heading, p.Speed, p.Battery, p.Mock = 1, 1, 1, 1, 1, 1, 1, true
	stored, err := parsePosition(appendPosition(nil, &p))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	var look func(v reflect.Value)
	look = func(v reflect.Value) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if field.Anonymous {
				look(v.Field(i))
				continue
			}
			name := strings.ToLower(field.Name)
			if kept := !v.Field(i).IsZero(); kept != named[name] {
				t.Errorf("%s: stored %v, named in the policy %v", name, kept, named[name])
			} else if kept {
				seen++
			}
		}
	}
	look(reflect.ValueOf(stored))
	if seen != len(named) {
		t.Errorf("%d fields are stored and %d named", seen, len(named))
	}
}
