// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a shell is given for the end of a command line: of values, it takes those
// that begin with what is there.
func offered(t *testing.T, args ...string) []string {
	t.Helper()
	got := run(t, &fakeTable{}, append([]string{"__complete"}, args...)...)
	if got.code != exitOK {
		t.Fatalf("%q: %+v", args, got)
	}
	var words []string
	for line := range strings.Lines(got.stdout) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !strings.HasPrefix(word, ":") {
			words = append(words, word)
		}
	}
	return words
}

func TestCompletion(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"so"}, []string{"sockets"}},
		{[]string{"ma"}, nil}, // hidden
		{[]string{"dump", "--cursor", ""}, []string{"key", "bucket", "index", "walker"}},
		{[]string{"trace", "--encoding", ""}, []string{"plain", "direct", "columns"}},
		{[]string{"trace", "--scenario", ""}, []string{"mid-dump-change", "slow-reader", "small-buffer", "two-readers"}},
		{[]string{"sockets", "--source", ""}, []string{"auto", "diag", "proc"}},
		{[]string{"table", "--color", ""}, []string{"auto", "always", "never"}},
		{[]string{"table", "-o", ""}, []string{"count", "svg", "table", "json", "jsonl", "csv"}},
		{[]string{"completion", ""}, []string{"bash", "zsh", "fish"}},
		{[]string{"get", ""}, nil},
		{[]string{"schema", ""}, []string{"cursors", "del", "dump", "fill", "flush", "get", "guard", "mirror", "new", "set", "sockets", "table", "trace", "watch"}},
		{[]string{"schema", "dump", ""}, nil},
	} {
		if got := offered(t, tt.args...); !slices.Equal(got, tt.want) {
			t.Errorf("%q: offered %q, want %q", tt.args, got, tt.want)
		}
	}
}

// The shells accept the scripts.
func TestCompletionScripts(t *testing.T) {
	for shell, want := range map[string]string{"bash": "complete -o", "zsh": "#compdef bulkdump", "fish": "complete -c bulkdump"} {
		got := run(t, &fakeTable{}, "completion", shell)
		if got.code != exitOK || got.stderr != "" || !strings.Contains(got.stdout, want) {
			t.Errorf("%s: %q", shell, got.stdout)
		}
		exe, err := exec.LookPath(shell)
		if err != nil {
			continue // as it came out of the library, then
		}
		cmd := exec.CommandContext(t.Context(), exe, "-n")
		cmd.Stdin = strings.NewReader(got.stdout)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s -n: %v: %s", shell, err, out)
		}
	}
}

// There is a page for each command that a user sees.
func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	run(t, &fakeTable{}, "man", dir).check(t, ran{})
	var want []string
	for _, cmd := range commands() {
		if cmd.Hidden || cmd.Name() == "help" {
			continue
		}
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		want = append(want, name)
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, part := range []string{".TH \"", ".SH SYNOPSIS", ".SH EXAMPLE", "--output"} {
			if !strings.Contains(strings.ReplaceAll(string(text), `\-`, "-"), part) {
				t.Errorf("%s has no %q", name, part)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	slices.Sort(want)
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("%v: there are %q, want %q", err, files, want)
	}
	run(t, &fakeTable{}, "man", filepath.Join(dir, "bulkdump.1")).check(t, ran{"", "not a directory", exitFailed})
}
