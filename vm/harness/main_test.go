// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bulkdump/vm/harness/internal/hosttest"

	"bulkdump/vm/harness/internal/machine"
	"bulkdump/vm/harness/internal/results"
)

// Where the directory cannot be made, the verdict says so, and nothing else is
// tried in it.
func TestOutThatCannotBe(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	code := run(t.Context(), &options{Settings: machine.Settings{Kernel: "6.1", OutDir: file}}, io.Discard, &stderr)
	want := "vm: FAIL: --out: mkdir " + file + ": not a directory (kernel 6.1)\n"
	if code != results.ExitHarness || !strings.HasSuffix(stderr.String(), want) || strings.Contains(stderr.String(), "remove") {
		t.Errorf("exit code %d, %s", code, &stderr)
	}
}

// vm/run ends with a verdict before there is a harness, too.
func TestRunFails(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tools map[string]string
		want  string
	}{
		{"no packages", map[string]string{"dpkg-query": "exit 1", "sudo": `exec "$@"`, "apt-get": "exit 1"}, "the host lacks packages"},
		{"no temporary files", map[string]string{"mktemp": "exit 1"}, "there is no room for temporary files"},
		{"no harness", map[string]string{"go": "echo oh no >&2; exit 1"}, "the harness cannot be built"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			hosttest.FakeTools(t, map[string]string{"dpkg-query": "echo installed"})
			hosttest.FakeTools(t, tt.tools)
			out, err := exec.Command("../run", "true").CombinedOutput()
			exit, ok := errors.AsType[*exec.ExitError](err)
			if want := "vm: FAIL: " + tt.want + "\n"; !ok || exit.ExitCode() != results.ExitHarness || !strings.HasSuffix(string(out), want) {
				t.Errorf("%v: %s", err, out)
			}
			if files, _ := os.ReadDir(os.TempDir()); len(files) > 0 {
				t.Errorf("left %s", files[0].Name())
			}
		})
	}
}

// vm/deps, too, tries again only where it may help.
func TestDepsTries(t *testing.T) {
	for _, tt := range []struct {
		says  string
		tries int
	}{
		{"E: Failed to fetch it", 3},
		{"E: Write error - write (28: No space left on device)", 1},
		{"E: You don't have enough free space in /var/cache/apt/archives/.", 1},
	} {
		hosttest.FakeTools(t, map[string]string{"dpkg-query": "exit 1", "sudo": `exec "$@"`, "apt-get": "[ $1 = update ] || { echo \"" + tt.says + "\" >&2; exit 100; }"})
		out, err := exec.Command("../deps", "run").CombinedOutput()
		if tries := strings.Count(string(out), "failed\n"); err == nil || tries != tt.tries || !strings.Contains(string(out), tt.says) {
			t.Errorf("%s: it was tried %d times, %v, and said\n%s", tt.says, tries, err, out)
		}
	}
}

// A group that vm/deps does not know is an error.
func TestDepsGroups(t *testing.T) {
	out, err := exec.Command("../deps", "frob").CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 2 || !strings.Contains(string(out), "no group of packages is named 'frob'") {
		t.Errorf("%v: %s", err, out)
	}
}
