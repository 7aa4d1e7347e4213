package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"ronde/configs"
)

// maxAnswer bounds what is read of an answer on a listener of this machine.
const maxAnswer = 4 << 20

// get returns the body of whatever answers on this machine.
func (d *doctor) get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return string(body), err
}

// unready returns what the running node says it lacks.
func (d *doctor) unready(ctx context.Context) (reasons []string) {
	body, err := d.get(ctx, configs.Origin(d.config.OpsListen)+"/readyz")
	if err != nil {
		return []string{err.Error()}
	}
	var answer struct {
		Checks []struct {
			Name, Error, Advice string
			OK                  bool
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return []string{"its /readyz cannot be read"}
	}
	for _, c := range answer.Checks {
		if !c.OK {
			reasons = append(reasons, c.Name+": "+c.Error+" ("+c.Advice+")")
		}
	}
	return reasons
}

// runningLimit returns how many files the running node may have open, 0 if it
// does not say. A container's or a unit's limit is not this shell's.
func (d *doctor) runningLimit(ctx context.Context) uint64 {
	body, err := d.get(ctx, configs.Origin(d.config.OpsListen)+"/metrics")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, "process_max_fds "); ok {
			limit, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err == nil && limit > 0 {
				return uint64(limit)
			}
		}
	}
	return 0
}
