package main

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCmd prints what makes a shell complete ronde's command line.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is the longer text of ronde completion --help.
func (completionCmd) Help() string {
	return `The script asks the ronde at hand what is possible, so it need not be made anew after an update.

Examples, for this shell alone and for every new one:

    source <(ronde completion bash)
    ronde completion bash > ~/.local/share/bash-completion/completions/ronde
    ronde completion zsh > "${fpath[1]}/_ronde"
    ronde completion fish > ~/.config/fish/completions/ronde.fish`
}

// completions holds a script for each shell.
//
//go:embed completion
var completions embed.FS

// Run prints the script.
func (cmd completionCmd) Run(s streams) error {
	script, err := completions.ReadFile("completion/ronde." + cmd.Shell)
	if err != nil {
		return err
	}
	_, err = s.out.Write(script)
	return err
}

// completeWord is what the scripts call: ronde __complete WORD…, the words after
// ronde up to the cursor, the last of them unfinished. It is no command, because
// it is not for people.
const completeWord = "__complete"

// What a script is told in place of candidates, when the shell itself knows
// best.
const (
	completeFiles   = ":files"
	completeFolders = ":folders"
)

// complete prints the candidates for the last word, one a line, each with what
// it is after a tab.
func complete(model *kong.Application, words []string, s streams) error {
	if len(words) == 0 {
		words = []string{""}
	}
	last := len(words) - 1
	place := walk(model.Node, words[:last])
	for _, c := range place.candidates(words[last]) {
		if _, err := fmt.Fprintln(s.out, c); err != nil {
			return err
		}
	}
	return nil
}

// place is where on the command line a word stands.
type place struct {
	node  *kong.Node // the innermost command so far
	flag  *kong.Flag // whose value is due; nil if none is
	given int        // positional arguments of node so far
	bare  bool       // after --, where nothing is a flag
}

// walk follows the words of a command line. Words it does not know it takes for
// arguments.
func walk(root *kong.Node, words []string) place {
	p := place{node: root}
	for _, word := range words {
		switch child := childNamed(p.node, word); {
		case p.flag != nil && word == "=": // bash makes it a word of its own
		case p.flag != nil:
			p.flag = nil
		case p.bare:
			p.given++
		case word == "--":
			p.bare = true
		case strings.HasPrefix(word, "-"):
			name, _, whole := strings.Cut(word, "=")
			if f := flagNamed(p.node, name); f != nil && !whole && !f.IsBool() {
				p.flag = f
			}
		case child != nil:
			p.node, p.given = child, 0
		default:
			p.given++
		}
	}
	return p
}

// candidates returns the lines for an unfinished word.
func (p place) candidates(word string) []string {
	name, value, whole := strings.Cut(word, "=")
	switch {
	case p.flag != nil:
		return valuesOf(p.flag.Value, "", strings.TrimPrefix(word, "="))
	case !p.bare && whole && strings.HasPrefix(name, "-"):
		f := flagNamed(p.node, name)
		if f == nil {
			return nil
		}
		return valuesOf(f.Value, name+"=", value)
	case !p.bare && strings.HasPrefix(word, "-"):
		return p.flags(word)
	}
	var lines []string
	for _, child := range p.node.Children {
		if !child.Hidden && strings.HasPrefix(child.Name, word) {
			lines = append(lines, child.Name+"\t"+child.Help)
		}
	}
	if p.given < len(p.node.Positional) {
		lines = append(lines, valuesOf(p.node.Positional[p.given], "", word)...)
	}
	return lines
}

// flags returns those that begin with the word, the command's own before those
// of every command.
func (p place) flags(word string) (lines []string) {
	for _, level := range slices.Backward(p.node.AllFlags(true)) {
		for _, f := range level {
			if strings.HasPrefix("--"+f.Name, word) {
				lines = append(lines, "--"+f.Name+"\t"+f.Help)
			}
		}
	}
	return lines
}

// valuesOf returns the values that a flag or an argument may have, each behind
// the prefix, if they can be listed or are paths.
func valuesOf(v *kong.Value, prefix, begun string) (lines []string) {
	if v.Flag != nil {
		switch v.Flag.PlaceHolder {
		case "FILE":
			return []string{completeFiles}
		case "DIR":
			return []string{completeFolders}
		}
	}
	for _, choice := range choices(v) {
		if strings.HasPrefix(choice, begun) {
			lines = append(lines, prefix+choice)
		}
	}
	return lines
}

// choices returns the values of an enumeration. The settings are told apart in
// package configs; what few values the log level has is repeated here.
func choices(v *kong.Value) []string {
	switch {
	case v.Enum != "":
		return v.EnumSlice()
	case v.Name == "log-level":
		return []string{"debug", "info", "warn", "error"}
	}
	return nil
}

func childNamed(n *kong.Node, name string) *kong.Node {
	for _, child := range n.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

func flagNamed(n *kong.Node, name string) *kong.Flag {
	for _, level := range n.AllFlags(false) {
		for _, f := range level {
			if "--"+f.Name == name || f.Short != 0 && "-"+string(f.Short) == name {
				return f
			}
		}
	}
	return nil
}
