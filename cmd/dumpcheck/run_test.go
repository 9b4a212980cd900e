// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/internal/check"
	"bulkdump/cmd/dumpcheck/target"
	"bulkdump/cmd/internal/term"
)

func oneFinding(s check.Severity) map[string]check.Finding {
	return map[string]check.Finding{"key": {Severity: s, Rule: 3, Text: "it is so"}}
}

// The exit code says how bad the worst finding is that counts.
func TestExitCodes(t *testing.T) {
	all := map[string]string{"end": "no right", "key": "no right", "change": "no right"}
	for _, tt := range []struct {
		name string
		f    fakeKernel
		args string
		code int
	}{
		{"nothing", fakeKernel{}, "foo", exitOK},
		{"a note", fakeKernel{found: oneFinding(check.Note)}, "foo", exitOK},
		{"weak", fakeKernel{found: oneFinding(check.Weak)}, "foo", exitWeak},
		{"broken", fakeKernel{found: oneFinding(check.Broken)}, "foo", exitBroken},
		{"ignored", fakeKernel{found: oneFinding(check.Broken)}, "foo --ignore key", exitOK},
		{"another is ignored", fakeKernel{found: oneFinding(check.Broken)}, "foo --ignore change,end", exitBroken},
		{"not looked for", fakeKernel{found: oneFinding(check.Broken)}, "foo --only change --only end", exitOK},
		{"what is wrong with the end always counts", fakeKernel{found: map[string]check.Finding{"end": {Severity: check.Broken}}}, "foo --only change", exitBroken},
		{"a command that fails", fakeKernel{failed: []string{"change"}}, "foo", exitFailed},
		{"a command that fails, and more", fakeKernel{failed: []string{"change"}, found: oneFinding(check.Broken)}, "foo", exitBroken},
		{"nothing applies", fakeKernel{skipped: all}, "foo", exitNone},
		{"no family", fakeKernel{err: fmt.Errorf("family x: %w", os.ErrNotExist)}, "foo", exitNone},
		{"no permission", fakeKernel{err: fmt.Errorf("x: %w", unix.EPERM)}, "--all", exitNone},
		{"another error", fakeKernel{err: unix.EIO}, "--all", exitFailed},
		{"no dumps", fakeKernel{dumps: []string{"bar x"}}, "foo", exitNone},
		{"a spec that is none", fakeKernel{dumps: []string{"foo a"}}, "foo --spec x.yaml", exitUsage},
		{"wrong usage", fakeKernel{}, "foo --only none", exitUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.f.dumps == nil {
				tt.f.dumps = []string{"foo a", "foo b"}
			}
			if got := run(t, &tt.f, strings.Fields(tt.args)...); got.code != tt.code {
				t.Errorf("got %+v, want %d", got, tt.code)
			}
		})
	}
}

func TestReportOfAFamily(t *testing.T) {
	f := &fakeKernel{dumps: []string{"foo a", "foo b", "bar c"}, found: oneFinding(check.Broken), skipped: map[string]string{"change": "no command"}}
	run(t, f, "foo", "a").check(t, exitBroken, `foo a: 0 records in 1 page, made in a network namespace of its own; key: 1, found by trying
  broken    key     it is so
                    rule 3, `, "")
	if f.entered != 1 || len(f.checked) != 1 {
		t.Errorf("entered %d namespaces, checked %d", f.entered, len(f.checked))
	}
	run(t, f, "foo", "a", "--here")
	if f.entered != 1 {
		t.Error("--here did not stay here")
	}
	// Many dumps have a row each.
	f.dumps = append(f.dumps, "foo d", "foo e")
	run(t, f, "foo").check(t, exitBroken, "DUMP    RECORDS  VERDICT         CHECKS\nfoo a         0  broken          key\n", "")
	run(t, f, "--all").check(t, exitBroken, "bar c         0  broken          key\n", "")
	run(t, f, "foo", "a", "--color", "always").check(t, exitBroken, "\x1b[31mbroken\x1b[0m", "")
}

func TestFormats(t *testing.T) {
	f := &fakeKernel{dumps: []string{"foo a"}, found: oneFinding(check.Weak)}
	for _, args := range []string{"-o json", "--json", "-o jsonl", "-o ktap", "--ktap"} {
		want := `"check": "key"`
		switch {
		case strings.Contains(args, "jsonl"):
			want = `{"target":"foo a","check":"key"`
		case strings.Contains(args, "ktap"):
			want = "KTAP version 1\n1..1\n  KTAP version 1\n  1..3\n  ok 1 end\n"
		}
		run(t, f, append([]string{"foo"}, strings.Fields(args)...)...).check(t, exitWeak, want, "")
	}
	file := filepath.Join(t.TempDir(), "junit.xml")
	run(t, f, "foo", "--junit", file).check(t, exitWeak, "weak", "")
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), `<testsuite name="foo a" tests="3" failures="1" skipped="0">`) {
		t.Errorf("%v: %s", err, text)
	}
	for _, no := range []string{filepath.Join(file, "x"), filepath.Join(filepath.Dir(file), "none", "x")} {
		run(t, f, "foo", "--junit", no).check(t, exitFailed, "", "--junit: open")
	}
	run(t, f, "foo", "--junit", "/dev/full").check(t, exitFailed, "weak", "no space left")
	var r struct{ Kernel, Schema string }
	if err := json.Unmarshal([]byte(run(t, f, "foo", "--json").stdout), &r); err != nil || r.Kernel != "6.1.0-test" {
		t.Errorf("%v: %+v", err, r)
	}
	got := run(t, f, "--schema")
	if err := json.Unmarshal([]byte(got.stdout), new(any)); err != nil || got.code != exitOK || !strings.Contains(got.stdout, r.Schema) {
		t.Errorf("%v: %+v", err, got)
	}
}

// A run that a signal ends reports what was checked, and that the rest was not.
func TestInterrupted(t *testing.T) {
	for _, format := range []string{"table", "json", "jsonl", "ktap"} {
		ctx, interrupt := signaled(t)
		f := &fakeKernel{dumps: []string{"foo a", "foo b", "foo c"}, found: oneFinding(check.Weak)}
		f.found["change"] = check.Finding{Severity: check.Broken, Text: "it did not go on"} // when it was ended
		f.before = func(ctx context.Context, dump, id string) {
			if dump == "foo b" && id == "change" {
				interrupt()
				<-ctx.Done()
			}
		}
		got := runUntil(ctx, f, "foo", "-o", format)
		want := map[string]string{
			"table": "  passed          end\n  not checked     change: ended by SIGINT\n1 check passed, 0 broken, 1 weak,",
			"json":  `"incomplete": "ended by SIGINT"`,
			"jsonl": `{"target":"foo c","check":"change","title":"tells of a change","verdict":"not checked","reason":"ended by SIGINT","took_s":0}
`,
			"ktap": "ok 3 foo c # SKIP not checked\n",
		}[format]
		got.check(t, 130, want, "dumpcheck: not everything was checked: ended by SIGINT\n")
	}
}

func TestInterruptedBefore(t *testing.T) {
	ctx, interrupt := signaled(t)
	a, stdout, stderr := newApp(&fakeKernel{})
	a.kernel.find = func(ctx context.Context, _ []string) ([]*target.Target, error) {
		interrupt()
		<-ctx.Done()
		return nil, fmt.Errorf("families: %w", ctx.Err())
	}
	code := a.run(ctx, []string{"foo"})
	ran{stdout.String(), stderr.String(), code}.check(t, 130, "not everything was checked: ended by SIGINT\n", "dumpcheck: not everything was checked: ended by SIGINT\n")
}

// A spec that comes through a pipe that nobody writes to does not hold the run. The
// report says that nothing was checked.
func TestTimeoutBefore(t *testing.T) {
	for format, want := range map[string]string{"json": `"incomplete": "not done within 1s: give a longer --timeout"`, "ktap": "\n1..0\n"} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			a, stdout, stderr := newApp(&fakeKernel{dumps: []string{"foo a"}})
			a.kernel.describe = func([]*target.Target, []string) error {
				<-release
				return nil
			}
			code := a.run(t.Context(), []string{"foo", "--timeout", "1s", "-o", format})
			ran{stdout.String(), stderr.String(), code}.check(t, exitFailed, want, "not everything was checked: not done within 1s")
			close(release)
		})
	}
}

// Limits of the run: what was found before counts.
func TestTimeout(t *testing.T) {
	for code, severity := range map[int]check.Severity{exitFailed: check.Note, exitWeak: check.Weak, exitBroken: check.Broken} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeKernel{dumps: []string{"foo a"}, found: oneFinding(severity)}
			f.before = func(ctx context.Context, _, id string) {
				if id == "change" {
					<-ctx.Done()
				}
			}
			got := run(t, f, "foo", "--timeout", "90s")
			got.check(t, code, "change: not done within 1m30s: give a longer --timeout\n", "not everything was checked: not done within 1m30s")
		})
	}
}

// A check that does not return does not keep the report.
func TestStuckCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &fakeKernel{dumps: []string{"foo a", "foo b"}}
		f.before = func(_ context.Context, _, id string) {
			if id == "key" {
				<-release
			}
		}
		begin := time.Now()
		got := run(t, f, "foo", "--timeout", "1m", "-o", "ktap")
		got.check(t, exitFailed, "ok 2 foo b # SKIP not checked\n", "not everything was checked")
		if took := time.Since(begin); took != 2*time.Minute { // --timeout, and patience
			t.Errorf("it took %v", took)
		}
		close(release)
	})
}

func TestNamespaceThatCannotBeMade(t *testing.T) {
	f := &fakeKernel{dumps: []string{"foo a"}}
	a, stdout, stderr := newApp(f)
	a.kernel.within = func(*target.Target, func(bool)) error { return fmt.Errorf("namespace: %w", unix.EPERM) }
	code := a.run(t.Context(), []string{"foo"})
	ran{stdout.String(), stderr.String(), code}.check(t, exitFailed, "end, key, change: namespace: operation not permitted\n", "not everything was checked: namespace: operation not permitted")
	run(t, f, "foo", "--here").check(t, exitOK, "3 checks passed", "")
}

// The flags come where they belong.
func TestFlagsReachTheChecks(t *testing.T) {
	f := &fakeKernel{dumps: []string{"foo a"}}
	run(t, f, "foo", "a", "--key", "7", "--attr", "x", "--attr", "y", "--change", "true", "--second", "echo; echo a; echo b", "--rounds", "9",
		"--wait", "2s", "--max-pages", "11", "--max-bytes", "12", "--as-user", "1234").check(t, exitOK, "key: 1\n", "")
	o, target := f.options, f.checked[0]
	if o.Wait != 2*time.Second || o.Pages != 11 || o.Bytes != 12 || o.Rounds != 9 || o.User != 1234 || f.entered != 0 {
		t.Errorf("got %+v", o)
	}
	if n, err := o.Second(t.Context()); n != 2 || err != nil {
		t.Errorf("another reader sees %d, %v", n, err)
	}
	if string(target.Request.Data) != "\x01\x01\x00\x00x,y" || target.Changer == nil {
		t.Errorf("got %+v", target)
	}
}

// A reader that leaves is no failure, but not all was checked. A full disk is one.
func TestOutputThatFails(t *testing.T) {
	f := &fakeKernel{dumps: []string{"foo a"}, found: oneFinding(check.Broken)}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("a full disk is needed: %v", err)
	}
	defer full.Close()
	a, _, stderr := newApp(f)
	a.stdout = full
	if code := a.run(t.Context(), []string{"foo"}); code != exitFailed || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("full disk: %d, %s", code, stderr)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	a, _, stderr = newApp(f)
	a.stdout = w
	if code := a.run(t.Context(), []string{"foo"}); code != exitBroken || stderr.Len() > 0 {
		t.Errorf("closed pipe: %d, %s", code, stderr)
	}
}

// A terminal shows what is being checked, and is clean afterwards.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeKernel{dumps: []string{"foo a", "foo b"}}
		f.before = func(context.Context, string, string) { time.Sleep(time.Second) }
		a, _, _ := newApp(f)
		var screen screen
		a.stderr = term.NewConsole("dumpcheck", &screen, func() int { return 80 })
		a.stdout, a.width = &screen, func() int { return 80 }
		a.run(t.Context(), []string{"foo", "--color", "never"})
		got := screen.text.String()
		for _, want := range []string{
			"\r\x1b[Kfoo b, check 2 of 3: key, dump 2 of 2, 4s", "\r\x1b[Kfoo a: 0 records", "\r\x1b[K\nfoo b: 0 records",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in %q", want, got)
			}
		}
	})
}

// A screen shows what two programs, or two parts of one, write.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}
