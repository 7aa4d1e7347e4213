package configs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Sources are the places that settings come from. A flag wins over the environment, that over the file, and the file
// over the default. The zero value yields the defaults.
type Sources struct {
	File  string                           // path of a YAML file; empty reads none
	Env   func(name string) (string, bool) // such as os.LookupEnv; nil reads none
	Flags map[string]string                // what the command line gave, by name
}

// Load returns the effective settings: merged from s, valid, and resolved (see [Config.Resolve]). Its error names
// everything that is wrong, each with its setting, and never quotes a value that may hold a password.
//
// An empty variable counts as unset, because compose files and units hand down variables nobody filled. Variables
// with the prefix that name no setting are left alone: a cluster may inject RONDE_PORT and its like on its own.
func Load(s Sources) (Config, error) {
	c := Default()
	if s.File != "" {
		if err := c.mergeFile(s.File); err != nil {
			return Config{}, err
		}
	}
	if s.Env != nil {
		for _, name := range Names() {
			if value, ok := s.Env(EnvName(name)); ok && value != "" {
				c.set(name, value)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Flags)) {
		if !c.set(name, s.Flags[name]) {
			return Config{}, fmt.Errorf("unknown flag --%s", name)
		}
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c.Resolve(), nil
}

// EnvName returns the environment variable of a setting: RONDE_OPS_LISTEN for ops-listen.
func EnvName(name string) string {
	return "RONDE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}
