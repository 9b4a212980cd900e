// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"text/tabwriter"
	"time"
)

// TestEveryDump reads every dump of the kernel, with package nldump and with the
// reader in C, and prints the table.
func TestEveryDump(t *testing.T) {
	version := inGuest(t)
	here := protocolsHere(t)
	home := families(t)
	ownNetNS(t)
	begin := time.Now()
	lap := func(what string) {
		t.Logf("%s in %.1f s", what, time.Since(begin).Seconds())
		begin = time.Now()
	}
	w := makeWorld(t)
	w.protocols = here
	lap("objects made")
	rows := findAll(t, w, home)
	lap(fmt.Sprint(len(rows), " dumps found"))
	table := []tableRow{}
	var failures []error // told behind the table, which is long
	var moved []string   // told there, too: a dump that does not rest may be the next to fail
	for _, row := range rows {
		var r result
		var err error
		read := func() { r, err = compare(row) }
		if row.Home {
			elsewhere(read)
		} else {
			read()
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%v: %w", row, err))
			r.remark = append(r.remark, "FAILED")
		}
		if r.moved > 0 {
			moved = append(moved, fmt.Sprintf("%v: %d times", row, r.moved))
		}
		table = append(table, r.line(row))
	}
	lap("read")
	table = append(table, dumpless(home, table)...)
	printTable(table)
	t.Logf("changed while they were read: %q", moved)
	for _, err := range failures {
		t.Error(err)
	}
	checkTable(t, version, table)
}

// elsewhere runs a function on a thread of the first namespace.
func elsewhere(f func()) {
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f()
	}()
	<-done
}

// printTable prints the table, followed by an empty line.
func printTable(table []tableRow) {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "FAMILY\tCOMMAND\tRECORDS\tPAGES\tMULTI\tINTR\tREMARK")
	for _, r := range table {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", r.family, r.command, r.records, r.pages, r.multi, r.intr, r.remark)
	}
	w.Flush()
	fmt.Println()
}
