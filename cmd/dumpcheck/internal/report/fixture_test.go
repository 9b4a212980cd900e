// SPDX-License-Identifier: BSD-3-Clause

package report

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/internal/check"
	"bulkdump/cmd/dumpcheck/target"
)

// checks are made-up checks.
var checks = []check.Check{
	{ID: "end", Title: "ends", Rules: []int{1}}, {ID: "key", Title: "sends no record twice", Rules: []int{3}}, {ID: "multi", Title: "sets NLM_F_MULTI"},
	{ID: "done", Title: "has one NLMSG_DONE"}, {ID: "change", Title: "tells of a change"}, {ID: "second", Title: "has what another reader has"},
}

type fakeNames map[uint16]string

func (n fakeNames) Attr(path []uint16) string { return n[path[len(path)-1]] }

// generic is a target of generic netlink.
func generic(name string) *target.Target {
	return &target.Target{
		Family: "foo", Command: name, Protocol: unix.NETLINK_GENERIC, Request: nldump.Message{Type: 32},
		Header: unix.GENL_HDRLEN, Generic: &target.Generic{}, Names: fakeNames{1: "FOO_A_ID", 3: "FOO_A_LIST"},
	}
}

// message is a message with a header.
func message(typ, flags uint16, data ...byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(16+len(data)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, 7)
	b = binary.NativeEndian.AppendUint32(b, 4242)
	return append(b, data...)
}

func attr(typ uint16, data ...byte) []byte { return target.Attr(typ, data) }

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// record is a record: an id, a name, and a list with a padding that is not 0.
func record() []byte {
	odd := attr(2, 'a', 'b', 'c', 'd', 0)
	odd[len(odd)-1] = 0x5a
	return message(32, unix.NLM_F_MULTI, join([]byte{5, 1, 0, 0}, attr(1, 9, 0, 0, 0), attr(2, []byte("eth0\x00")...),
		attr(3|unix.NLA_F_NESTED, odd...), attr(4))...)
}

// aRun is a run with each verdict in it. Its second target has passed, its third
// was not checked.
func aRun() *Run {
	r := &Run{
		Schema: Schema, Dumpcheck: "v1", Kernel: "6.1.0-test", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Took: 1.5,
		Incomplete: "ended by SIGINT",
	}
	for _, name := range []string{"entries", "empty", "late"} {
		r.Targets = append(r.Targets, NewTarget(generic(name), checks))
	}
	entries, empty, late := r.Targets[0], r.Targets[1], r.Targets[2]
	records, pages := 4000, 12
	entries.Records, entries.Pages, entries.Key, entries.KeyGuessed = &records, &pages, "attribute 1", true
	entries.Own = true
	add := func(t *Target, id, skipped string, ignored bool, findings ...check.Finding) {
		for _, c := range checks {
			if c.ID == id {
				t.Add(check.Result{ID: id, Title: c.Title, Rules: c.Rules, Skipped: skipped, Findings: findings, Took: 1500 * time.Millisecond}, ignored)
			}
		}
	}
	entries.Add(check.Result{ID: "end", Title: checks[0].Title, Rules: checks[0].Rules, Info: "4000 records", Took: 1500 * time.Millisecond}, false)
	add(entries, "key", "", false, check.Finding{Severity: check.Note, Rule: 3, Text: "a note first"},
		check.Finding{Severity: check.Broken, Rule: 3, Text: "3 of 4000 records come twice, by attribute 1", Bytes: record(), From: 20, To: 28})
	add(entries, "multi", "", false, check.Finding{Severity: check.Weak, Text: "1 of 4000 records is without NLM_F_MULTI"})
	add(entries, "done", "", false, check.Finding{Severity: check.Note, Text: "NLMSG_DONE is alone in its page"})
	add(entries, "change", "", true, check.Finding{Severity: check.Broken, Text: "records are missing"})
	add(entries, "second", "no command was given with --second", false)
	for _, c := range checks {
		add(empty, c.ID, "", false)
	}
	add(late, "end", "", false)
	late.Leave("ended by SIGINT")
	r.Sum()
	return r
}

// write gives the run to a reporter as it is made.
func write(t *testing.T, w Reporter, r *Run) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.Begin(r))
	for _, target := range r.Targets {
		for i := range target.Checks {
			if target.Checks[i].Verdict != NotChecked {
				must(w.Checked(target, &target.Checks[i]))
			}
		}
		must(w.Done(target))
	}
	must(w.End(r))
}

// equal compares texts line by line.
func equal(t *testing.T, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Fatalf("line %d: got %q, want %q, in:\n%s", i+1, a, b, got)
		}
	}
}

// failing is a writer that fails.
type failing struct{ after int }

func (f *failing) Write(b []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}
