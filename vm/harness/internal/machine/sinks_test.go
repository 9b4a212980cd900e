// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestSinks(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	s, err := openSinks(dir, nil, &out, &errs)
	if err != nil {
		t.Fatal(err)
	}
	s.stdout.Write([]byte("out"))
	s.stderr.Write([]byte("err"))
	s.console.Write([]byte("console"))
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if out.String() != "out" || errs.String() != "err" {
		t.Errorf("passed on %q and %q", out.String(), errs.String())
	}
	for name, want := range map[string]string{"stdout": "out", "stderr": "err", "console.log": "console"} {
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if _, err := openSinks(filepath.Join(dir, "nosuch"), nil, &out, &errs); err == nil {
		t.Error("no directory, and that is no error")
	}
}
