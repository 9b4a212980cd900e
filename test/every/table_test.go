// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bulkdump/cmd/dumpcheck/target"
)

// A tableRow is a row of the printed table.
type tableRow struct {
	family, command            string
	records                    int
	pages, multi, intr, remark string
}

func (r tableRow) key() string { return r.family + " " + r.command }

// quiet are the generic families without a dump in any kernel.
var quiet = []string{"NCSI", "NET_DM", "SMBD_GENL", "TASKSTATS", "TCM-USER", "TIPC", "VFS_DQUOT", "acpi_event", "handshake", "hsr", "lockd",
	"nbd", "ovs_ct_limit", "ovs_meter", "ovs_packet", "pmcraid", "team"}

// dumpless returns rows for families without a dump, and for those that this
// kernel lacks.
func dumpless(home map[string]*target.Generic, table []tableRow) (rows []tableRow) {
	add := func(family, command, remark string) {
		rows = append(rows, tableRow{family: family, command: command, pages: "-", multi: "-", intr: "-", remark: remark})
	}
	known := slices.Concat(slices.Collect(maps.Keys(target.Commands)), quiet, slices.Collect(maps.Keys(home)))
	slices.Sort(known)
	for _, name := range slices.Compact(known) {
		switch g := home[name]; {
		case g == nil:
			add(name, "-", "no module of this kernel's has the family")
		case len(g.Dumps(nil)) == 0:
			add(name, "-", "the family has no dump")
		}
	}
	has := func(row string) bool {
		return slices.ContainsFunc(table, func(r tableRow) bool { return r.key() == row || strings.HasPrefix(r.key(), row+" ") })
	}
	for _, name := range target.RouteNames() {
		if !slices.ContainsFunc(table, func(r tableRow) bool {
			return strings.HasPrefix(r.family, "rtnetlink") && strings.HasPrefix(r.command, name)
		}) {
			add("rtnetlink", name, "the kernel has no dump of it")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(target.NetfilterSubsystems())) {
		if !has("nfnetlink " + name) {
			add("nfnetlink "+name, "-", "the subsystem has no dump, or is in no module of this kernel's")
		}
	}
	for _, name := range target.DiagFamilies() {
		if !has("sock_diag " + name) {
			add("sock_diag "+name, "-", "no module of this kernel's has the family")
		}
	}
	for _, name := range []string{"xfrm", "crypto", "audit", "rdma"} {
		if !has(name) {
			add(name, "-", "no module of this kernel's has the protocol")
		}
	}
	for _, protocol := range slices.Sorted(maps.Keys(target.Protocols)) {
		if why := target.Protocols[protocol]; why != "" {
			add(fmt.Sprint("protocol ", protocol), "-", why)
		}
	}
	return rows
}

// checkTable compares the table with the one that is kept for the kernel. It is
// an error if a row is missing, has other flags, or is empty in one of them
// only. An additional row is not an error: it was compared like the others.
// Without a kept table, nothing is checked.
func checkTable(t *testing.T, version string, table []tableRow) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", version))
	if os.IsNotExist(err) {
		t.Logf("no table is kept for %s", version)
		return
	} else if err != nil {
		t.Fatal(err)
	}
	got := map[string]tableRow{}
	for _, r := range table {
		if _, twice := got[r.key()]; twice {
			t.Errorf("two rows are called %s", r.key())
		}
		got[r.key()] = r
	}
	want := parseTable(t, string(text))
	for _, w := range want {
		g, ok := got[w.key()]
		switch {
		case !ok:
			t.Errorf("%s: no row, but testdata/%s has one", w.key(), version)
		case g.multi != w.multi || g.intr != w.intr || (g.records == 0) != (w.records == 0):
			t.Errorf("%s: %d records, MULTI %s, INTR %s; in testdata/%s %d, %s, %s", w.key(), g.records, g.multi, g.intr,
				version, w.records, w.multi, w.intr)
		}
		delete(got, w.key())
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		t.Logf("%s: a row that testdata/%s has not", key, version)
	}
}

// parseTable parses the output of printTable.
func parseTable(t *testing.T, text string) (table []tableRow) {
	t.Helper()
	columns := regexp.MustCompile(` {2,}`)
	for line := range strings.Lines(text) {
		f := columns.Split(strings.TrimSpace(line), 7)
		if len(f) < 6 || f[0] == "FAMILY" {
			continue
		}
		n, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		table = append(table, tableRow{family: f[0], command: f[1], records: n, multi: f[4], intr: f[5]})
	}
	if len(table) == 0 {
		t.Fatal("the table that is kept has no row")
	}
	return table
}
