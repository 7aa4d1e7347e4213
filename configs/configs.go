// Package configs holds Ronde's settings: their defaults, where they may come from, which values they may take.
//
// Every setting is a text known by one name, its flag: --ops-listen on the command line, RONDE_OPS_LISTEN in the
// environment, ops-listen in the YAML file. [Load] lays these over each other, validates the outcome and fills in what
// follows from other settings. The folder also keeps the files that run Ronde elsewhere, ronde.example.yaml first.
package configs

// Config is one complete set of settings. Written as text or JSON, it hides the passwords inside its URLs.
type Config struct {
	Listen         string // address of the public listener: API, sockets, pages
	OpsListen      string // address of the private listener: metrics, health, profiles
	PublicURL      string // origin that browsers see; empty until resolved: it follows from Listen
	TrustedProxies string // addresses and prefixes, by commas, whose X-Forwarded-For is believed; see Proxies
	Data           string // folder of the embedded default
	Store          string // sqlite:, sqlite:PATH or postgres://…
	Bus            string // mem:, redis://…, rediss://… or redis-cluster://host,host
	Keys           string // file:, file:PATH or postgres://…
	RootSecretFile string // 32 bytes in hex; empty until resolved: a file in Data
	Checkpoints    string // folder of the access log's signed checkpoints; empty until resolved: one in Data
	LogLevel       string // debug, info, warn or error
}

// Default returns the settings of a fresh installation: everything embedded, nothing reachable from another machine.
func Default() Config {
	return Config{
		Listen:    "127.0.0.1:8080",
		OpsListen: "127.0.0.1:9090",
		Data:      "./data",
		Store:     "sqlite:",
		Bus:       "mem:",
		Keys:      "file:",
		LogLevel:  "info",
	}
}

// field ties the name of a setting to its place in a Config and to the rule its value obeys.
type field struct {
	name  string
	at    func(*Config) *string
	check func(value string) error // nil allows everything
}

// fields lists the settings in the order in which they are shown.
var fields = []field{
	{"listen", func(c *Config) *string { return &c.Listen }, checkListen},
	{"ops-listen", func(c *Config) *string { return &c.OpsListen }, checkListen},
	{"public-url", func(c *Config) *string { return &c.PublicURL }, CheckOrigin},
	{"trusted-proxies", func(c *Config) *string { return &c.TrustedProxies }, checkProxies},
	{"data", func(c *Config) *string { return &c.Data }, checkNotEmpty},
	{"store", func(c *Config) *string { return &c.Store }, checkStore},
	{"bus", func(c *Config) *string { return &c.Bus }, checkBus},
	{"keys", func(c *Config) *string { return &c.Keys }, checkKeys},
	{"root-secret-file", func(c *Config) *string { return &c.RootSecretFile }, nil},
	{"checkpoints", func(c *Config) *string { return &c.Checkpoints }, nil},
	{"log-level", func(c *Config) *string { return &c.LogLevel }, checkLogLevel},
}

// Names returns the names of all settings in the order in which they are shown.
func Names() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// set gives the setting called name a value and tells whether there is such a setting.
func (c *Config) set(name, value string) bool {
	for _, f := range fields {
		if f.name == name {
			*f.at(c) = value
			return true
		}
	}
	return false
}
