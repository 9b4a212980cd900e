// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/mirror"
	"bulkdump/cmd/bulkdump/internal/lab/nlsock"
)

// hostile has what a terminal, tabwriter or a reader of lines may take for more
// than text: ESC, a control character of one byte in Latin-1, one of UTF-8, a
// newline, tabwriter's own escape, a change of the writing direction.
const hostile = "a\x1b[31m\x9b31m\u009b31m\n\t\r\v\xff\x7f\u202e\x00z"

// asText tells whether the lines may go to a terminal: all of it is printable.
func asText(t *testing.T, what, text string) {
	t.Helper()
	unprintable := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	if i := strings.IndexFunc(text, unprintable); i >= 0 || !utf8.ValidString(text) {
		t.Errorf("%s: at %d of %q", what, i, text)
	}
}

func hostileSockets() *nlsock.List {
	l := fakeSockets()
	s := &l.Sockets[2]
	s.NetNS.Name, s.Groups[0].Name = hostile, hostile
	s.Owners = []nlsock.Owner{{PID: 5, Command: hostile}, {PID: 6, Command: "two words"}}
	return l
}

// Whatever comes from outside, no command in any format controls the terminal,
// or makes one line look like two.
func TestNothingCommandsTheTerminal(t *testing.T) {
	e := client.Entry{ID: 1, Name: hostile, Payload: []byte(hostile), Generation: 1}
	table := func() *fakeTable {
		return &fakeTable{
			entry: e, records: []client.Entry{e},
			events: []client.Event{{Kind: client.EventNew, Generation: 1, Entry: e}, {Kind: client.EventSet, Generation: 2, Entry: e}},
			mstats: mirror.Stats{Synced: true},
		}
	}
	for _, format := range []string{"table", "json", "jsonl", "csv"} {
		for _, args := range [][]string{{"get", "1"}, {"dump"}, {"dump", "--sync"}, {"watch"}, {"mirror"}, {"mirror", "--once"}, {"sockets"}} {
			if format == "json" && (args[0] == "watch" || args[0] == "mirror" && len(args) == 1) {
				continue
			}
			a, stdout, stderr := newApp(table())
			a.onTerminals(stdout, true, stderr, 0)
			a.lab.sockets = func(context.Context, nlsock.Source) (*nlsock.List, error) { return hostileSockets(), nil }
			got := runApp(t.Context(), t, a, stdout, stderr, append(slices.Clone(args), "-o", format, "--color", "never")...)
			asText(t, fmt.Sprint(args, format), got.stdout)
			asText(t, fmt.Sprint(args, format), got.stderr)
			lines := map[string]int{"get": 1, "dump": 1, "watch": 2, "mirror": 2, "sockets": 3}[args[0]]
			if slices.Contains(args, "--once") {
				lines = 1
			}
			switch {
			case args[0] == "get" && format == "table":
				lines = 10 - 2 // of the fields, the times are not known
			case args[0] == "get" && format == "json", args[0] == "mirror" && len(args) == 1 && format == "table":
				continue
			case format == "table", format == "csv":
				lines++ // the head
			case format == "json":
				lines += 2 // the brackets
			}
			if n := strings.Count(got.stdout, "\n"); n != lines || got.code != exitOK {
				t.Errorf("%v as %s: %d lines, want %d: %+v", args, format, n, lines, got)
			}
		}
	}
}

// The same holds for messages.
func TestMessagesAreOneLine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none"+strings.ReplaceAll(hostile, "\x00", ""))
	for _, tt := range []struct {
		args []string
		err  error
	}{
		{[]string{hostile}, nil},
		{[]string{"--" + hostile}, nil},
		{[]string{"-" + hostile}, nil},
		{[]string{"help", hostile}, nil},
		{[]string{"schema", hostile}, nil},
		{[]string{"completion", hostile}, nil},
		{[]string{"man", dir + "/\x00"}, nil},
		{[]string{"dump", hostile}, nil},
		{[]string{"dump", "-o", hostile}, nil},
		{[]string{"dump", "--color", hostile}, nil},
		{[]string{"dump", "--from", hostile}, nil},
		{[]string{"dump", "--sync=" + hostile}, nil},
		{[]string{"dump", "--timeout", hostile}, nil},
		{[]string{"dump", "--cursor", hostile}, nil},
		{[]string{"get", hostile}, nil},
		{[]string{"get", "--name", strings.Repeat(hostile, 9)}, nil},
		{[]string{"new", "1", "x", "--payload", "@" + dir}, nil},
		{[]string{"new", "1", "x", "--payload", "hex:" + hostile}, nil},
		{[]string{"sockets", "--source", hostile}, nil},
		{[]string{"trace", "--scenario", hostile}, nil},
		{[]string{"get", "1"}, kernelError(unix.EINVAL, hostile)},
		{[]string{"get", "1"}, &os.PathError{Op: "open", Path: hostile, Err: unix.ENOENT}},
		{[]string{"del", "1"}, fmt.Errorf("%s: %w", hostile, os.ErrNotExist)},
		{[]string{"dump"}, errors.New(hostile)},
		{[]string{"watch"}, errors.New(hostile)},
		{[]string{"mirror"}, errors.New(hostile)},
		{[]string{"cursors"}, errors.New(hostile)},
		{[]string{"trace"}, errors.New(hostile)},
	} {
		a, stdout, stderr := newApp(&fakeTable{err: tt.err, errs: map[uint32]error{}})
		got := runApp(t.Context(), t, a, stdout, stderr, tt.args...)
		if got.code == exitOK || !strings.HasPrefix(got.stderr, "bulkdump: ") {
			t.Errorf("%q: %+v", tt.args, got)
		}
		asText(t, fmt.Sprintf("%q", tt.args), got.stderr)
		for line := range strings.Lines(strings.TrimPrefix(got.stderr, "bulkdump: ")) {
			if strings.HasPrefix(line, "z") || strings.Contains(line, "\t") {
				t.Errorf("%q: a line of its own: %q", tt.args, got.stderr)
			}
		}
	}
}

// Columns stay columns.
func TestSocketsOfHostileOwners(t *testing.T) {
	got, _ := runSockets(t, hostileSockets(), nil)
	const want = `"a\x1b[31m\x9b31m\u009b31m\n\t\r\v\xff\x7f\u202e\x00z"`
	lines := strings.Split(got.stdout, "\n")
	if !strings.HasPrefix(lines[3], want+"  route") || !strings.Contains(lines[3], want+"/5 +1") || !strings.HasSuffix(lines[3], want+",32") {
		t.Errorf("%q", lines)
	}
	for i, head := range []string{"PROTOCOL", "OWNER"} {
		at := strings.Index(lines[0], head)
		if cell := []string{"route", want}[i]; !strings.HasPrefix(lines[3][at:], cell) {
			t.Errorf("%s is not above %s: %q", head, cell, got.stdout)
		}
	}

	// CSV that goes to a program has the bytes, each owner being one of several.
	got, _ = runSockets(t, hostileSockets(), nil, "-o", "csv")
	rows, err := csv.NewReader(strings.NewReader(got.stdout)).ReadAll()
	if err != nil || rows[3][1] != strings.ReplaceAll(hostile, "\r\n", "\n") || rows[3][4] != want+" 32" || rows[3][10] != want+`/5 "two words"/6` {
		t.Errorf("%q, %v", rows, err)
	}
	got, _ = runSockets(t, hostileSockets(), nil, "-o", "json")
	var raw []struct{ Owners []nlsock.Owner }
	if err := json.Unmarshal([]byte(got.stdout), &raw); err != nil || raw[2].Owners[0].Command != strings.ToValidUTF8(hostile, "\ufffd") {
		t.Errorf("%+v, %v", raw, err)
	}
}
