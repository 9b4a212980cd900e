// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bulkdump/client"
	"bulkdump/client/mirror"
)

func commands() []*cobra.Command {
	a, _, _ := newApp(&fakeTable{})
	root := a.rootCommand()
	root.InitDefaultHelpCmd()
	return append(root.Commands(), root)
}

func TestCommandsAreThose(t *testing.T) {
	var got []string
	for _, cmd := range commands() {
		got = append(got, cmd.Name())
	}
	slices.Sort(got)
	want := []string{"bulkdump", "completion", "cursors", "del", "dump", "fill", "flush", "get", "guard", "help", "man", "mirror", "new", "schema", "set", "sockets", "table", "trace", "watch"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Each command has a help, which goes to stdout, fits a terminal, and does not
// ask the kernel.
func TestHelp(t *testing.T) {
	for _, cmd := range commands() {
		name := cmd.Name()
		t.Run(name, func(t *testing.T) {
			args := []string{name}
			if !cmd.HasParent() {
				args = nil
			}
			f := &fakeTable{}
			got := run(t, f, append(args, "--help")...)
			got.check(t, ran{stdout: got.stdout})
			if len(f.asked) > 0 {
				t.Errorf("asked %q", f.asked)
			}
			for _, want := range []string{cmd.Short, cmd.Long, cmd.Example} {
				if want == "" {
					t.Errorf("no short, long or example")
				}
			}
			for _, want := range []string{cmd.Long + "\n\nUsage:\n", "Examples:\n" + cmd.Example, "-o, --output FORMAT"} {
				if !strings.Contains(got.stdout, want) {
					t.Errorf("got %q, want %q in it", got.stdout, want)
				}
			}
			for line := range strings.Lines(cmd.Long + "\n" + cmd.Example + "\n") {
				if len(line) > 81 {
					t.Errorf("%d bytes are too long: %q", len(line), line)
				}
			}
			cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
				value, usage := pflag.UnquoteUsage(flag)
				if value != strings.ToUpper(value) || usage == "" {
					t.Errorf("--%s %s: what stands for a value is in capitals", flag.Name, value)
				}
			})
			run(t, f, append([]string{"help"}, args...)...).check(t, ran{stdout: got.stdout})
		})
	}
}

// Each example works on a table on which everything succeeds.
func TestExamples(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("payload.bin", []byte("payload"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range commands() {
		for line := range strings.Lines(cmd.Example) {
			t.Run(strings.TrimSpace(line), func(t *testing.T) {
				args := words(t, line)
				if cmd.HasParent() && args[0] != cmd.Name() {
					t.Errorf("an example of %s, not of %s", args[0], cmd.Name())
				}
				f := &fakeTable{entry: seven, state: client.Table{Generation: 1}, mstats: mirror.Stats{Synced: true}}
				if i := slices.Index(args, "--verify"); i >= 0 {
					args[i+1] = "0" // the checksum of no entries
				}
				if got := run(t, f, args...); got.code != exitOK {
					t.Errorf("%q: exit code %d, stderr %q", args, got.code, got.stderr)
				}
				if asked := len(f.asked) > 0; asked == slices.Contains([]string{"--version", "completion", "help", "man", "schema", "sockets"}, args[0]) {
					t.Errorf("%q: asked %q", args, f.asked)
				}
			})
		}
	}
}

// words splits an example as far as the examples need it: the first program of
// a pipeline, in the virtual machine or not, with quotes around nothing, and
// without the file that the output goes to.
func words(t *testing.T, line string) []string {
	t.Helper()
	line, _, _ = strings.Cut(line, "|")
	line, _, _ = strings.Cut(line, ">")
	if inside, command, ok := strings.Cut(line, " -- "); ok && strings.HasPrefix(strings.TrimSpace(inside), "vm/run ") {
		line = command
	}
	args := strings.Fields(line)
	if len(args) < 2 || args[0] != "bulkdump" {
		t.Fatalf("%q does not run bulkdump", line)
	}
	for i, arg := range args {
		if arg == "''" {
			args[i] = ""
		}
		if strings.ContainsAny(args[i], `'"$\`) {
			t.Fatalf("%q needs a shell", line)
		}
	}
	return args[1:]
}
