// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkdump/vm/internal/coverage"
)

func TestCheckCounted(t *testing.T) {
	text, err := os.ReadFile("kmod/faulty.c")
	if err != nil {
		t.Fatal(err)
	}
	number := func(line string) int {
		before, _, ok := strings.Cut(string(text), line)
		if !ok {
			t.Fatalf("there is no line %s", line)
		}
		return 1 + strings.Count(before, "\n")
	}
	path, _ := filepath.Abs("kmod/faulty.c")
	check := func(change func(*coverage.File)) error {
		files := coverage.Files{}
		file := files.File(path, "")
		for _, line := range []string{"add_taint(", "return load_fails", "if (exit_hangs)"} {
			file.Count(number(line), 1)
		}
		for _, line := range []string{"WARN(1,", "__module_get("} {
			file.Count(number(line), 0)
		}
		change(file)
		var b bytes.Buffer
		if err := files.Write(&b); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, coverage.Name), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return checkCounted(dir, "kmod/faulty.c")
	}
	if err := check(func(*coverage.File) {}); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*coverage.File){
		"a warning to order\\n\");: executed 1 times": func(f *coverage.File) { f.Lines[number("WARN(1,")] = 1 },
		"LOCKDEP_STILL_OK);: executed 0 times":        func(f *coverage.File) { f.Lines[number("add_taint(")] = 0 },
		"if (exit_hangs): it is not counted":          func(f *coverage.File) { delete(f.Lines, number("if (exit_hangs)")) },
	} {
		if err := check(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := checkCounted(t.TempDir(), "kmod/faulty.c"); err == nil || !strings.Contains(err.Error(), "no counts of") {
		t.Errorf("no counts at all: %v", err)
	}
}
