// SPDX-License-Identifier: BSD-3-Clause

package dumpcheck

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// The dumps that this project has for others to copy pass all checks.
func TestSoundModules(t *testing.T) {
	if os.Getenv("BULKDUMP_GUEST") == "" {
		t.Skip("this runs in a guest only: make dumpcheck-proof")
	}
	run := func(command string) {
		t.Helper()
		if out, err := exec.Command("sh", "-ec", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	entries := "4000"
	if os.Getenv("PROOF") == "one" {
		entries = "1000" // dozens of pages still
	}
	parents := ""
	for i := range 16 {
		parents += fmt.Sprintf("echo %d 0 %d >/sys/module/bulkdump_nested/parameters/parent\n", 10*i, 30*i)
	}
	for _, m := range []struct{ family, fill, empty string }{
		{"bulkdump", "bulkdump fill " + entries, "bulkdump flush"},
		{"bulkdump_min", "insmod /lib/modules/bulkdump_minimal.ko; echo " + entries + " >/sys/module/bulkdump_minimal/parameters/entries", "rmmod bulkdump_minimal"},
		{"bulkdump_nested", "insmod /lib/modules/bulkdump_nested.ko\n" + parents, "rmmod bulkdump_nested"},
	} {
		t.Run(m.family, func(t *testing.T) {
			run(m.fill)
			for _, r := range check(t, m.family) {
				t.Logf("%-20s %-12s %6d ms  %s%s", r.Target, r.Check, int(1000*r.Took), r.Info, r.Reason)
				for _, f := range r.Findings {
					t.Errorf("%s: %s: %s: %s", r.Target, r.Check, f.Severity, f.Text)
				}
			}
			run(m.empty)
		})
	}
}
