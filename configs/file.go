package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

// mergeFile lays the settings of a YAML file over c.
func (c *Config) mergeFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if err := c.mergeYAML(text); err != nil {
		return fmt.Errorf("config: %s: %w", path, err)
	}
	return nil
}

// mergeYAML lays the settings of a YAML text over c. The text is read as nodes instead of into the struct: that way
// each error names the key and the line, and a typing slip (a number, an empty value) is told apart from a text.
func (c *Config) mergeYAML(text []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return fmt.Errorf("line %d: a second document begins", second.Line)
	case !errors.Is(err, io.EOF):
		return err
	}
	root := document.Content[0]
	if root.Tag == "!!null" {
		return nil
	}
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: must be a list of settings, one \"name: value\" a line", root.Line)
	}
	var errs []error
	seen := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		errs = append(errs, c.mergeEntry(root.Content[i], root.Content[i+1], seen))
	}
	return errors.Join(errs...)
}

// mergeEntry takes over one entry of the file. Seen holds the line of each key met so far.
func (c *Config) mergeEntry(key, value *yaml.Node, seen map[string]int) error {
	name := key.Value
	if first, again := seen[name]; again {
		return fmt.Errorf("line %d: key %q already stands in line %d", key.Line, name, first)
	}
	seen[name] = key.Line
	if key.Kind != yaml.ScalarNode || !c.set(name, value.Value) {
		return fmt.Errorf("line %d: unknown key %q; known are %s", key.Line, name, strings.Join(Names(), ", "))
	}
	if value.Kind != yaml.ScalarNode || value.Tag != "!!str" {
		return fmt.Errorf("line %d: %s: must be a text; put it in quotes", value.Line, name)
	}
	return nil
}
