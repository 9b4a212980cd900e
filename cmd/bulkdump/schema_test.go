// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/lab"
	"bulkdump/cmd/bulkdump/internal/lab/loop"
	"bulkdump/cmd/bulkdump/internal/lab/nlsock"
)

// printed is what each command prints as JSON.
var printed = map[string]any{
	"get":     nil, // the entry that dump prints, but no deleted one
	"dump":    []client.Entry{},
	"new":     changed{},
	"set":     changed{},
	"del":     []changed{},
	"fill":    client.Filled{},
	"flush":   client.Flushed{},
	"table":   client.Table{},
	"cursors": lab.CursorsReport{},
	"guard":   lab.GuardReport{},
	"sockets": []nlsock.Socket{},
	"trace":   loop.Trace{},
	"watch":   []client.Event{},
	"mirror":  nil, // entries or events
}

// The schema is valid JSON Schema.
func TestSchemaIsValid(t *testing.T) {
	if _, err := compiled().Compile(schemaID); err != nil {
		t.Error(err)
	}
	if draft := readSchema().Schema; draft != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("it is of %s", draft)
	}
}

// Each command that looks at the format has a definition, and no other does.
func TestSchemaHasEachCommand(t *testing.T) {
	var want []string
	for _, cmd := range commands() {
		example, _, _ := strings.Cut(cmd.Example, "\n")
		args := words(t, example)
		if args[0] == "man" {
			args[1] = t.TempDir()
		}
		if cmd.HasParent() && run(t, &fakeTable{}, append(args, "-o", "none")...).code == exitUsage {
			want = append(want, cmd.Name())
		}
	}
	slices.Sort(want)
	a, _, _ := newApp(&fakeTable{})
	if got := commandsWithSchema(a.rootCommand()); !slices.Equal(got, want) {
		t.Errorf("there are definitions of %q, want %q%s", got, want, howToAdd)
	}
	if got := slices.Sorted(maps.Keys(printed)); !slices.Equal(got, want) {
		t.Errorf("the table in schema_test.go has %q, want %q%s", got, want, howToAdd)
	}
}

// The schema describes what the Go types have, and nothing else.
func TestSchemaIsThatOfTheTypes(t *testing.T) {
	c := typeCheck{t, map[string]bool{}}
	for command, value := range printed {
		if value != nil {
			c.check(command, definition(t, command), reflect.TypeOf(value))
		}
	}
	get := definition(t, "get")
	if resolved(get).Location != definition(t, "entry").Location {
		t.Error("what get prints is not the entry of dump")
	}
	c.visited[get.Location] = true
	// What mirror prints is what dump or watch prints.
	mirrored := definition(t, "mirror")
	for i, of := range resolved(resolved(mirrored).Items2020).AnyOf {
		if want := definition(t, []string{"record", "event"}[i]); resolved(of).Location != want.Location {
			t.Errorf("what mirror prints is %s, want %s", resolved(of).Location, want.Location)
		}
	}
	c.visited[mirrored.Location] = true
	for name := range readSchema().Defs {
		if !c.visited[definition(t, name).Location] {
			t.Errorf("nothing needs the definition %s", name)
		}
	}
}

func TestSchemaCommand(t *testing.T) {
	run(t, &fakeTable{}, "schema").check(t, ran{stdout: string(schemaText)})
	for command := range printed {
		var whole map[string]any
		got := run(t, &fakeTable{}, "schema", command)
		if err := json.Unmarshal([]byte(got.stdout), &whole); err != nil || got.code != exitOK || got.stderr != "" {
			t.Errorf("%s: %v, %+v", command, err, got)
			continue
		}
		compile := func() error {
			c := jsonschema.NewCompiler()
			if err := c.AddResource("of.json", whole); err != nil {
				return err
			}
			s, err := c.Compile("of.json")
			if err == nil && resolved(s).Location == s.Location {
				t.Errorf("%s: nothing is asked for", command)
			}
			return err
		}
		if err := compile(); err != nil {
			t.Errorf("%s: something is missing: %v", command, err)
		}
		// And there is no more than is needed.
		defs := whole["$defs"].(map[string]any)
		for name, def := range maps.Clone(defs) {
			delete(defs, name)
			if compile() == nil {
				t.Errorf("%s: what for is %s?", command, name)
			}
			defs[name] = def
		}
	}
}
