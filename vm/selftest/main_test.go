// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseVerdict(t *testing.T) {
	for _, tt := range []struct {
		line   string
		green  bool
		reason string
		ok     bool
	}{
		{"vm: PASS (kernel 6.1.0, tcg, boot 6.5 s, command exited 0, log clean)", true, "PASS", true},
		{"vm: FAIL: command exited 7 (kernel 6.1.0, tcg, log clean)", false, "command exited 7", true},
		{"vm: FAIL: command killed by signal 9 (killed) (kernel 6.1.0)", false, "command killed by signal 9 (killed)", true},
		{"vm: FAIL: timeout: the command took longer than 3s (busy host: it waited 2s for a processor) (kernel 6.1.0)", false, "timeout: the command took longer than 3s", true},
		{"vm: FAIL: no disk", false, "no disk", true},
		{"vm: FAIL: (kernel 6.1.0)", false, "vm: FAIL: (kernel 6.1.0)", false},
		{"vm: PASS but not quite", false, "vm: PASS but not quite", false},
		{"vm: booting 6.1.0", false, "vm: booting 6.1.0", false},
		{"PASS", false, "PASS", false},
		{"", false, "", false},
	} {
		green, reason, ok := parseVerdict(tt.line)
		if green != tt.green || reason != tt.reason || ok != tt.ok {
			t.Errorf("%q: got %t %q %t", tt.line, green, reason, ok)
		}
	}
}

func TestJudge(t *testing.T) {
	red := check{code: 7, reason: "command exited 7$"}
	for _, tt := range []struct {
		check check
		code  int
		last  string
		wrong string
	}{
		{check{}, 0, "vm: PASS (kernel x)", ""},
		{red, 7, "vm: FAIL: command exited 7 (kernel x)", ""},
		{check{}, 7, "vm: FAIL: command exited 7 (kernel x)", "exit code 0 was expected"},
		{red, 0, "vm: PASS (kernel x)", "exit code 7 was expected"},
		{red, 7, "vm: PASS (kernel x)", "contradict"},
		{check{}, 0, "vm: FAIL: x (kernel x)", "contradict"},
		{red, 7, "vm: FAIL: kernel log: x; command exited 7 (kernel x)", "the reason that was expected"},
		{red, 7, "go: no such program", "no verdict"},
	} {
		r := result{check: tt.check, code: tt.code, log: []string{"vm: booting", tt.last}}
		r.judge()
		if (r.wrong == "") != (tt.wrong == "") || !strings.Contains(r.wrong, tt.wrong) {
			t.Errorf("%d %q: got %q, want %q", tt.code, tt.last, r.wrong, tt.wrong)
		}
	}
}

func TestPlan(t *testing.T) {
	count := func(rows []check, kernel string) (n int) {
		for _, c := range rows {
			if c.kernel == kernel {
				n++
			}
		}
		return n
	}
	all, err := plan(nil, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.kernel == "" {
			t.Errorf("%s has no kernel", c.fault)
		}
	}
	anywhere, here := 0, 0 // rows for any kernel, and rows for the base kernel only
	for _, c := range slices.Concat(table, momentRows()) {
		switch c.kernel {
		case "":
			anywhere++
		case baseKernel:
			here++
		}
	}
	if got, want := count(all, baseKernel), anywhere+here; here == 0 || got != want {
		t.Errorf("%d rows for %s, want %d", got, baseKernel, want)
	}
	for _, kernel := range []string{baseKernel, "debug", "kcsan"} {
		if !slices.ContainsFunc(all, func(c check) bool { return c.kernel == kernel && c.reason == "" }) {
			t.Errorf("nothing must be green on %s", kernel)
		}
	}
	if n := count(all, "kmsan"); n > 0 {
		t.Errorf("kmsan gets %d rows, and was not asked for", n)
	}
	if special, _ := plan([]string{"kmsan"}, nil, false); count(special, "kmsan") == 0 {
		t.Error("kmsan has no rows")
	}
	if other, _ := plan([]string{"9.9"}, nil, false); count(other, "9.9") != anywhere {
		t.Errorf("another kernel gets %d rows", count(other, "9.9"))
	}
	if one, err := plan([]string{"debug"}, []string{"slab leak"}, false); len(one) != 1 || err != nil {
		t.Errorf("one row: %+v, %v", one, err)
	}
	if _, err := plan([]string{"6.1"}, []string{"slab leak"}, false); err == nil {
		t.Error("a row that there is not was skipped in silence")
	}
}

// Each row of the quick form is there, and no other.
func TestPlanQuick(t *testing.T) {
	rows, err := plan(nil, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, c := range rows {
		named[c.fault] = true
	}
	for _, fault := range mattersMost {
		if !named[fault] {
			t.Errorf("no row %q", fault)
		}
	}
	if len(named) != len(mattersMost) {
		t.Errorf("%d rows, want %d", len(named), len(mattersMost))
	}
}

// Rows are unique, and no row can be green by chance.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range table {
		if seen[c.fault] {
			t.Errorf("two rows %q", c.fault)
		}
		seen[c.fault] = true
		if _, err := regexp.Compile(c.reason); err != nil {
			t.Errorf("%s: %v", c.fault, err)
		}
		if (c.code == 0) != (c.reason == "") {
			t.Errorf("%s: code %d with reason %q", c.fault, c.code, c.reason)
		}
		for _, other := range table {
			if other.reason != c.reason && c.reason != "" && other.reason != "" && strings.HasPrefix(other.reason, c.reason) {
				t.Errorf("the reason of %q is one of %q, too", other.fault, c.fault)
			}
		}
	}
}

// After a line that is too long, writers must not block.
func TestReadUntil(t *testing.T) {
	r, w := io.Pipe()
	written := make(chan struct{})
	go func() {
		for _, line := range []string{"one", strings.Repeat("x", 1<<20), "two"} {
			fmt.Fprintln(w, line)
		}
		close(written)
		w.Close()
	}()
	seen := make(chan struct{})
	lines := readUntil(r, "on", seen)
	<-seen
	select {
	case <-written:
	case <-time.After(10 * time.Second):
		t.Error("it is not read to the end")
	}
	if len(lines) != 1 || lines[0] != "one" {
		t.Errorf("got %d lines", len(lines))
	}
}

func TestWatched(t *testing.T) {
	var w watched
	seen := w.await("all is full")
	fmt.Fprint(&w, "all is ")
	select {
	case <-seen:
		t.Error("seen too soon")
	default:
	}
	fmt.Fprint(&w, "full\n")
	<-seen
	if got := w.String(); got != "all is full\n" {
		t.Errorf("got %q", got)
	}
}

// A reader that starts late, when all buffers are full, compares every byte.
func TestLateReader(t *testing.T) {
	var block strings.Builder
	for i := range blockLines {
		fmt.Fprintln(&block, i+1)
	}
	file := filepath.Join(t.TempDir(), "all")
	if err := os.WriteFile(file, []byte(strings.Repeat(block.String(), manyTimes)), 0o644); err != nil {
		t.Fatal(err)
	}
	const fill, full = `head -c 65536 "$1"; `, "echo " + consoleFull + " >&2; "
	for _, tt := range []struct{ name, script, want string }{
		{"all is well", fill + full + `tail -c +65537 "$1"`, ""},
		{"a byte is lost", fill + full + `tail -c +65538 "$1"`, " bytes came, 65536 the same, of "},
		{"the end is lost", fill + full, "65536 bytes came, 65536 the same, of "},
		{"it is not full", full + "echo few", "the pipe was not full: "},
		{"it is never full", "exit 0", "it ended before all was full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "sh", "-c", tt.script, "sh", file)
			cmd.Stderr = &watched{}
			after, err := prepareLateReader(cmd, "")
			if err != nil {
				t.Fatal(err)
			}
			cmd.Run()
			err = after()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRunAll(t *testing.T) {
	rows := []check{{fault: "a", kernel: "6.1"}, {fault: "bb", kernel: "debug", flags: bare, command: []string{"echo $x"}}, {fault: "c", kernel: "6.1"}}
	second := make(chan bool)
	run := func(c check) result {
		r := result{check: c, took: time.Second, reason: "PASS", log: []string{"line"}}
		switch c.fault {
		case "a": // ends last but is printed first
			<-second
		case "bb":
			r.wrong, r.code, r.reason = "exit code 0 was expected", 122, "dirt"
			close(second)
		}
		return r
	}
	var out strings.Builder
	if runAll(t.Context(), rows, 2, run, &out) {
		t.Error("it is green")
	}
	const want = `        fault  kernel  exit      s  reason
ok      a      6.1        0    1.0  PASS
FAILED  bb     debug    122    1.0  dirt
ok      c      6.1        0    1.0  PASS

bb on debug: exit code 0 was expected
  vm/run --kernel debug --no-module --cpus 1 -- 'echo $x'
  | line

2 passed, 1 failed
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	out.Reset()
	if runAll(t.Context(), nil, 2, run, &out) {
		t.Error("nothing at all is green")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out.Reset()
	if !runAll(ctx, rows[2:], 1, run, &out) || !strings.Contains(out.String(), "ended by a signal\n") {
		t.Errorf("ended by a signal: %s", out.String())
	}
}
