package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// simulationReport is what a simulation leaves behind, and the form that --json prints.
type simulationReport struct {
	Seconds float64       `json:"seconds"`
	Total   agentReport   `json:"total"`
	Agents  []agentReport `json:"agents"`
	errs    []error
}

// agentReport is what became of one agent's positions. An agent is known by its number and mission: its token is
// nobody's business.
type agentReport struct {
	Agent   int    `json:"agent,omitempty"` // from 1
	Mission string `json:"mission,omitempty"`
	phoneStats
	Skipped map[string]uint64 `json:"skipped"` // points of the recording that the phone never took, by reason
	Error   string            `json:"error,omitempty"`
}

func newTotal() agentReport {
	return agentReport{Skipped: map[string]uint64{}, phoneStats: phoneStats{
		Refused: map[string]uint64{}, Retried: map[string]uint64{}, Errors: map[string]uint64{},
	}}
}

func (r *agentReport) add(o *agentReport) {
	r.Sent += o.Sent
	r.Resent += o.Resent
	r.Acked += o.Acked
	r.Unanswered += o.Unanswered
	r.Unsent += o.Unsent
	r.Connects += o.Connects
	r.Reconnects += o.Reconnects
	addCounts(r.Refused, o.Refused)
	addCounts(r.Retried, o.Retried)
	addCounts(r.Errors, o.Errors)
	addCounts(r.Skipped, o.Skipped)
}

func addCounts(to, from map[string]uint64) {
	for code, n := range from {
		to[code] += n
	}
}

func sum(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

func (s *simulation) report() simulationReport {
	report := simulationReport{Seconds: float64(s.took.Milliseconds()) / 1000, Total: newTotal(), errs: s.errs}
	for i, r := range s.replays {
		a := agentReport{Agent: i + 1, Mission: r.phone.Mission(), phoneStats: r.phone.Stats(), Skipped: r.Skipped()}
		if s.errs[i] != nil {
			a.Error = s.errs[i].Error()
		}
		report.Agents = append(report.Agents, a)
		report.Total.add(&a)
	}
	return report
}

// verdict returns what makes the exit code 1: agents that failed, and positions that the server was sent and did not
// answer or that never left a phone.
func (r *simulationReport) verdict() error {
	var all []error
	for i, err := range r.errs {
		if err != nil {
			all = append(all, fmt.Errorf("agent %d: %w", i+1, err))
		}
	}
	if n := r.Total.Unanswered; n > 0 {
		all = append(all, fmt.Errorf("%d positions were sent and neither acked nor refused", n))
	}
	if n := r.Total.Unsent; n > 0 {
		all = append(all, fmt.Errorf("%d positions were taken and never sent", n))
	}
	return errors.Join(all...)
}

func (r *simulationReport) print(s streams, asJSON bool) error {
	if asJSON {
		return s.printJSON(r)
	}
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	total := &r.Total
	for _, line := range []struct {
		name  string
		n     uint64
		codes map[string]uint64
	}{
		{"sent", total.Sent, nil},
		{"acked", total.Acked, nil},
		{"refused", sum(total.Refused), total.Refused},
		{"unanswered", total.Unanswered, nil},
		{"never sent", total.Unsent, nil},
		{"skipped", sum(total.Skipped), total.Skipped},
		{"sent again", total.Resent, nil},
		{"retries asked for", sum(total.Retried), total.Retried},
		{"errors", sum(total.Errors), total.Errors},
		{"reconnects", total.Reconnects, nil},
	} {
		fmt.Fprintf(t, "%s\t%d\t%s\n", line.name, line.n, listed(line.codes))
	}
	fmt.Fprintf(t, "agents\t%d\t\nseconds\t%.1f\t\n", len(r.Agents), r.Seconds)
	return t.Flush()
}

// listed writes counts by code, in the order of the codes.
func listed(counts map[string]uint64) string {
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", code, counts[code]))
	}
	if parts == nil {
		return ""
	}
	return "  " + strings.Join(parts, ", ")
}

// showProgress keeps one line up to date on w, if that is a terminal, until the function it returns is called.
func (s *simulation) showProgress(w io.Writer) (stop func()) {
	if !isTerminal(w) {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				fmt.Fprint(w, "\r\x1b[K") // the report takes its place
				return
			case <-tick.C:
				fmt.Fprintf(w, "\r\x1b[K%s", s.progress())
			}
		}
	}()
	return func() { close(quit); <-done }
}

// progress is the line that says how it goes.
func (s *simulation) progress() string {
	total, connected := newTotal(), 0
	var trouble error
	for _, r := range s.replays {
		total.add(&agentReport{phoneStats: r.phone.Stats(), Skipped: r.Skipped()})
		if err := r.phone.Trouble(); err != nil {
			trouble = err
		} else if r.phone.Mission() != "" {
			connected++
		}
	}
	line := fmt.Sprintf("%s  %d of %d connected  %d sent  %d acked  %d refused  %d waiting",
		time.Since(s.began).Round(time.Second), connected, len(s.replays),
		total.Sent, total.Acked, sum(total.Refused), total.Unanswered+total.Unsent)
	if trouble != nil {
		line += "  (" + firstLine(trouble.Error(), 60) + ")"
	}
	return line
}

func firstLine(s string, limit int) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return s
}

// isTerminal reports whether w is a character device: a terminal, or the null device, on which a line more does no
// harm.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
