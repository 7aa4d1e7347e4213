package main

import "ronde/configs"

// globalFlags are the settings as flags. Each is nil unless it was given, so that an empty value can be told from
// none. Defaults are told in the help only: they belong to package configs.
type globalFlags struct {
	ConfigFile string `name:"config" env:"RONDE_CONFIG" placeholder:"FILE" help:"YAML file with settings; unknown keys are errors."`

	Listen         *string `placeholder:"HOST:PORT" help:"Address of the public HTTP: API, sockets, pages. Default: 127.0.0.1:8080."`
	OpsListen      *string `placeholder:"HOST:PORT" help:"Address of the private HTTP: metrics, health, profiles. Default: 127.0.0.1:9090."`
	PublicURL      *string `name:"public-url" placeholder:"ORIGIN" help:"Origin that browsers see, such as https://ronde.example; checked on every upgrade. Default: follows from --listen."`
	TrustedProxies *string `placeholder:"LIST" help:"Addresses and prefixes, with commas between, of the proxies whose X-Forwarded-For is believed, such as 10.0.0.5,10.1.0.0/24. Default: none."`
	Data           *string `placeholder:"DIR" help:"Folder of the embedded database and keyring. Default: ./data."`
	Store          *string `placeholder:"STORE" help:"Where missions and positions live: sqlite:, sqlite:PATH or postgres://… Default: sqlite: in the data folder."`
	Bus            *string `placeholder:"BUS" help:"What carries progress between nodes: mem:, redis://…, rediss://… or redis-cluster://host,host. Default: mem:, for one node."`
	Keys           *string `placeholder:"KEYS" help:"Where keys live: file:, file:PATH or postgres://… (another database than the store's). Default: file: in the data folder."`
	RootSecretFile *string `placeholder:"FILE" help:"The installation's root secret, 32 bytes in hex, the same on every node. Default: made in the data folder by the embedded store."`
	Checkpoints    *string `placeholder:"DIR" help:"Folder outside the database for the signed checkpoints of the access log. Default: checkpoints in the data folder."`
	LogLevel       *string `placeholder:"LEVEL" help:"How much to log: debug, info, warn or error; JSON lines on standard error. Default: info."`
}

// given returns the settings that stand on the command line, by name.
func (g *globalFlags) given() map[string]string {
	given := map[string]string{}
	for name, value := range map[string]*string{
		"listen":           g.Listen,
		"ops-listen":       g.OpsListen,
		"public-url":       g.PublicURL,
		"trusted-proxies":  g.TrustedProxies,
		"data":             g.Data,
		"store":            g.Store,
		"bus":              g.Bus,
		"keys":             g.Keys,
		"root-secret-file": g.RootSecretFile,
		"checkpoints":      g.Checkpoints,
		"log-level":        g.LogLevel,
	} {
		if value != nil {
			given[name] = *value
		}
	}
	return given
}

// load returns the effective settings. Whatever is wrong with them is for the user to mend.
func (g *globalFlags) load(env func(string) (string, bool)) (configs.Config, error) {
	c, err := configs.Load(configs.Sources{File: g.ConfigFile, Env: env, Flags: g.given()})
	if err != nil {
		return c, usageError{err}
	}
	return c, nil
}
