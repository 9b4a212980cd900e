// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"os"
	"path/filepath"
	"testing"
)

// What an earlier run left must not be taken for this one's.
func TestResultsOfAnEarlierRunAreGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "out")
	if err := Clear(dir); err != nil {
		t.Fatal(err)
	}
	o := goodOutcome()
	o.Suite, _ = runSuite(t, []string{"TestA"}, passA)
	if err := Write(dir, o); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"verdict.txt": "vm: PASS (kernel 6.1.0, tcg, boot 6.5 s, 1 tests run, 0 failed, 0 skipped, log clean)\n",
		"kernel.log":  "[    0.000000] Linux version 6.1.0\n[    1.000000] Run /init as init process\n",
		"test.json":   passA,
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	mine := filepath.Join(dir, "notes")
	if err := os.WriteFile(mine, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Clear(dir); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(left) != 1 || left[0] != mine {
		t.Errorf("left: %q", left)
	}
}
