// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bulkdump/cmd/internal/term"
)

// schemaText describes what the commands print with -o json: each has a definition
// with its name.
//
//go:embed schema.json
var schemaText []byte

// A schema is the JSON Schema of the whole program, or of one command, whose
// definition Ref names.
type schema struct {
	Schema      string                     `json:"$schema"`
	Title       string                     `json:"title"`
	Description string                     `json:"description"`
	Ref         string                     `json:"$ref,omitempty"`
	Defs        map[string]json.RawMessage `json:"$defs"`
}

func readSchema() schema {
	var s schema
	if err := json.Unmarshal(schemaText, &s); err != nil {
		panic(err) // a test reads it
	}
	return s
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [COMMAND]",
		Short: "Print the JSON Schema of what a command prints as JSON",
		Long: `schema prints the JSON Schema (draft 2020-12) of the command's JSON output.
Without a command, it prints that of all of them, each under its name in $defs.
The schema says what each property means, and its unit.

With -o jsonl, each item of an array is one line, and anything else is one line
as a whole.`,
		Example: `  bulkdump schema
  bulkdump schema dump > dump.schema.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("give one command, or none for all of them")
			}
			if known := commandsWithSchema(cmd.Root()); len(args) == 1 && !slices.Contains(known, args[0]) {
				return usagef("no command %q prints JSON, only %s", args[0], strings.Join(known, ", "))
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return commandsWithSchema(cmd.Root()), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			a.running = true
			if len(args) == 0 {
				_, err := a.out.Write(schemaText)
				return err
			}
			return term.WriteJSON(a.out, readSchema().of(args[0]), "  ")
		},
	}
}

// commandsWithSchema returns the names of the commands that print JSON.
func commandsWithSchema(root *cobra.Command) []string {
	defs := readSchema().Defs
	var names []string
	for _, cmd := range root.Commands() {
		if defs[cmd.Name()] != nil {
			names = append(names, cmd.Name())
		}
	}
	slices.Sort(names)
	return names
}

var refs = regexp.MustCompile(`"\$ref": *"#/\$defs/([^"]+)"`)

// of returns the schema of one command's output, with only the definitions that it
// needs.
func (s schema) of(command string) schema {
	all := s.Defs
	s.Title = "What bulkdump " + command + " prints as JSON"
	s.Ref = "#/$defs/" + command
	s.Defs = map[string]json.RawMessage{}
	for need := []string{command}; len(need) > 0; need = need[1:] {
		if s.Defs[need[0]] != nil {
			continue
		}
		s.Defs[need[0]] = all[need[0]]
		for _, ref := range refs.FindAllSubmatch(all[need[0]], -1) {
			need = append(need, string(ref[1]))
		}
	}
	return s
}
