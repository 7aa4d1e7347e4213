package configs

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// hiddenMark stands where a password stood.
const hiddenMark = "hidden"

// hide returns a setting's value fit to be shown. A connection URL that cannot be understood is hidden altogether.
func hide(value string) string {
	scheme, _, ok := strings.Cut(value, "://")
	if !ok {
		return value
	}
	c, err := parseConnection(value)
	if err != nil {
		return scheme + "://" + hiddenMark
	}
	return c.hidden()
}

// String returns the settings as the YAML that [Load] reads, passwords hidden, so that a Config that ends up in a
// message or a log gives nothing away.
func (c Config) String() string {
	var b strings.Builder
	for _, f := range fields {
		value, err := yaml.Marshal(hide(*f.at(&c)))
		if err != nil {
			return fmt.Sprintf("# %s: %v\n", f.name, err)
		}
		b.WriteString(f.name + ": " + string(value))
	}
	return b.String()
}

// GoString keeps %#v from showing what String hides.
func (c Config) GoString() string { return c.String() }

// MarshalJSON returns the settings as one object under their names, passwords hidden.
func (c Config) MarshalJSON() ([]byte, error) {
	values := make(map[string]string, len(fields))
	for _, f := range fields {
		values[f.name] = hide(*f.at(&c))
	}
	return json.Marshal(values)
}
