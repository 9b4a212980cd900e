// SPDX-License-Identifier: BSD-3-Clause

package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"bulkdump/cmd/dumpcheck/internal/check"
	"bulkdump/kmod/rules"
)

// rule3 is the rule that the fixture names, and page3 its page.
var (
	rule3, _ = rules.Get(3)
	page3    = "kmod/rules/README.md#3-" + anchor(rule3.Title)
)

func TestText(t *testing.T) {
	var b bytes.Buffer
	write(t, &Text{W: &b}, aRun())
	equal(t, b.String(), `foo entries: 4000 records in 12 pages, made in a network namespace of its own; key: attribute 1, found by trying
  broken    key     3 of 4000 records come twice, by attribute 1
                    rule 3, `+rule3.Title+` (--explain 3)
          0  nlmsghdr      len 60, type 32, flags MULTI, seq 7, port id 4242
         16  genlmsghdr    command 5, version 1
    >    20  1 FOO_A_ID    09 00 00 00 = 9
         28  2             "eth0"
         40  3 FOO_A_LIST  nest of 12 bytes
    >    44    2           "abcd"  <- padding is not 0: 00 00 5a
         56  4             empty
  note              a note first
  weak      multi   1 of 4000 records is without NLM_F_MULTI
  note      done    NLMSG_DONE is alone in its page
  ignored   change  records are missing
  passed          end
  not applicable  second: no command was given with --second
1 check passed, 1 broken, 1 weak, 1 note, 1 not applicable, 1 ignored

foo empty
  passed          end, key, multi, done, change, second
6 checks passed, 0 broken, 0 weak, 0 notes, 0 not applicable

foo late
  passed          end
  not checked     key, multi, done, change, second: ended by SIGINT
1 check passed, 0 broken, 0 weak, 0 notes, 0 not applicable, 5 not checked

3 dumps, 1 of them made in a network namespace of its own: 8 checks passed, 1 broken, 1 weak, 1 note, 1 not applicable, 1 ignored, 5 not checked
not everything was checked: ended by SIGINT
`)
}

// On a terminal, lines end where it does, and have colors if they are asked for.
func TestTextOnTerminal(t *testing.T) {
	var b bytes.Buffer
	w := &Text{W: &b, Width: 50, Colors: true}
	if err := w.Done(aRun().Targets[0]); err != nil {
		t.Fatal(err)
	}
	equal(t, b.String(), "\x1b[1mfoo entries\x1b[0m: 4000 records in 12 pages, made in a network namespace of its own; key: attribute 1, found by trying\n"+
		"  \x1b[31mbroken\x1b[0m    key     3 of 4000 records come twice,\n"+
		"                    by attribute 1\n"+
		"                    "+strings.ReplaceAll(strings.Join(fill("rule 3, "+rule3.Title+" (--explain 3)", 30, false), "\n"), "\n", "\n                    ")+"\n"+
		"          0  nlmsghdr      len 60, type 32, flags…\n"+
		"         16  genlmsghdr    command 5, version 1\n"+
		"\x1b[31m    >    20  1 FOO_A_ID    09 00 00 00 = 9\x1b[0m\n"+
		"         28  2             \"eth0\"\n"+
		"         40  3 FOO_A_LIST  nest of 12 bytes\n"+
		"\x1b[31m    >    44    2           \"abcd\"  <- padding is …\x1b[0m\n"+
		"         56  4             empty\n"+
		"  \x1b[36mnote\x1b[0m              a note first\n"+
		"  \x1b[33mweak\x1b[0m      multi   1 of 4000 records is without\n"+
		"                    NLM_F_MULTI\n"+
		"  \x1b[36mnote\x1b[0m      done    NLMSG_DONE is alone in its\n"+
		"                    page\n"+
		"  \x1b[2mignored\x1b[0m   change  records are missing\n"+
		"  \x1b[32mpassed\x1b[0m          end\n"+
		"\x1b[2m  not applicable  second: no command was…, -v: all\x1b[0m\n"+
		"1 check passed, \x1b[31m1 broken\x1b[0m, \x1b[33m1 weak\x1b[0m, \x1b[36m1 note\x1b[0m, 1 not applicable, 1 ignored\n")
}

func TestTextRows(t *testing.T) {
	var b bytes.Buffer
	write(t, &Text{W: &b, Rows: true}, aRun())
	const rows = `DUMP          RECORDS  VERDICT         CHECKS
foo entries      4000  broken          key multi done
foo empty           -  ok
foo late            -  not checked     ended by SIGINT

foo entries: 4000`
	if got := b.String(); !strings.HasPrefix(got, rows) || strings.Contains(got, "foo empty\n") {
		t.Errorf("got:\n%s", got)
	}
	b.Reset()
	write(t, &Text{W: &b, Rows: true, Verbose: true}, aRun())
	if got := b.String(); !strings.Contains(got, "\n\nfoo empty\n") {
		t.Errorf("-v has no details of what is not broken:\n%s", got)
	}
}

func TestTextVerbose(t *testing.T) {
	var b bytes.Buffer
	r := aRun()
	w := &Text{W: &b, Verbose: true, Width: 60}
	for _, target := range r.Targets {
		if err := w.Done(target); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		"  ok              end     ends (1.5 s)\n", "  not applicable  second  no command was given with --second\n",
		"  not checked     key     ended by SIGINT\n", "flags MULTI, seq 7, port id 4242\n",
		"  ok              second  has what another reader has (1.5\n                          s)\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
}

// A check that finds much fills no screen, and a fault far behind is seen.
func TestTextIsShort(t *testing.T) {
	target := NewTarget(generic("long"), checks)
	var parts [][]byte
	for i := range 40 {
		parts = append(parts, attr(uint16(i+1), 1))
	}
	raw := message(32, 0, append([]byte{5, 1, 0, 0}, join(parts...)...)...)
	var findings []check.Finding
	for i := range 5 {
		f := check.Finding{Severity: check.Broken, Text: fmt.Sprint("finding ", i)}
		if i == 0 {
			f.Bytes, f.From, f.To = raw, 20+30*8, 20+30*8+8
		}
		findings = append(findings, f)
	}
	target.Add(check.Result{ID: "multi", Findings: findings}, false)
	var b bytes.Buffer
	if err := (&Text{W: &b}).Done(target); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{
		"    … 28 lines before, -v: all\n", "    >   260  31  01 = 1\n", "    … 6 lines more, -v: all\n", "finding 2\n", "… 2 more, -v: all\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n > 24 {
		t.Errorf("%d lines:\n%s", n, got)
	}
	b.Reset()
	if err := (&Text{W: &b, Verbose: true}).Done(target); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Contains(got, "…") || !strings.Contains(got, "finding 4\n") || strings.Count(got, " = 1\n") != 40 {
		t.Errorf("-v has not all:\n%s", got)
	}
}

// Nothing that the kernel or a command says controls the terminal, or makes a line
// of its own.
func TestNothingCommandsTheTerminal(t *testing.T) {
	const hostile = "a\x1b[31m\n\u202eok 9 x\x00"
	g := generic("x" + hostile)
	g.Names = fakeNames{1: hostile}
	target := NewTarget(g, checks)
	raw := message(32, 0, join([]byte{5, 1, 0, 0}, attr(1, []byte(hostile+"\x00")...))...)
	target.Add(check.Result{ID: "key", Title: hostile, Findings: []check.Finding{{Severity: check.Broken, Text: hostile, Bytes: raw}}}, false)
	target.Add(check.Result{ID: "done", Title: hostile, Skipped: hostile}, false)
	target.Add(check.Result{ID: "end", Title: hostile}, false)
	target.Key = hostile
	r := &Run{Targets: []*Target{target}, Kernel: hostile, Incomplete: hostile}
	r.Sum()
	var b bytes.Buffer
	lines := map[string]int{}
	for name, w := range map[string]Reporter{
		"text": &Text{W: &b}, "rows": &Text{W: &b, Rows: true}, "verbose": &Text{W: &b, Verbose: true},
		"ktap": &KTAP{W: &b}, "json": JSON{&b}, "jsonl": JSONL{&b},
	} {
		b.Reset()
		write(t, w, r)
		lines[name] = strings.Count(b.String(), "\n")
		if i := strings.IndexFunc(b.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%s: at %d of %q", name, i, b.String())
		}
	}
	if lines["jsonl"] != len(checks) {
		t.Errorf("%d lines of JSON for %d checks", lines["jsonl"], len(checks))
	}
}

// Each error of the writer is reported.
func TestWriteErrors(t *testing.T) {
	for name, reporter := range map[string]func(f *failing) Reporter{
		"text":  func(f *failing) Reporter { return &Text{W: f} },
		"rows":  func(f *failing) Reporter { return &Text{W: f, Rows: true} },
		"json":  func(f *failing) Reporter { return JSON{f} },
		"jsonl": func(f *failing) Reporter { return JSONL{f} },
		"ktap":  func(f *failing) Reporter { return &KTAP{W: f} },
		"junit": func(f *failing) Reporter { return JUnit{f} },
	} {
		for n := range 100 {
			f := &failing{after: n}
			r := aRun()
			w := reporter(f)
			err := w.Begin(r)
			for _, target := range r.Targets {
				for i := range target.Checks {
					if err == nil {
						err = w.Checked(target, &target.Checks[i])
					}
				}
				if err == nil {
					err = w.Done(target)
				}
			}
			if err == nil {
				err = w.End(r)
			}
			if f.after >= 0 {
				break // there were that many writes
			}
			if err == nil {
				t.Errorf("%s: no error of write %d", name, n)
			}
		}
	}
}
