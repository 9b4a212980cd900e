// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeTools puts scripts first on PATH.
func fakeTools(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// A program that fails ends the fetch at once, whatever the other one does, and
// the error says which and why. Another try is made only where it may help.
func TestFetchEnds(t *testing.T) {
	const (
		downloads = "exec sleep 1000"                      // as long as nobody ends it
		packs     = "trap '' TERM; while echo; do :; done" // and as long as somebody reads
		left      = "sleep 20 2>/dev/null & exit 3"
		packed    = "echo packed"
		full      = "echo 'tar: ./x: Cannot write: No space left on device' >&2; "
	)
	for _, tt := range []struct {
		name, mmdebstrap, tar string
		tries                 int
		want                  string
	}{
		{"tar dies as it downloads", downloads, "echo a reason >&2; exit 2", 1, "fetch things: tar: exit status 2"},
		{"tar dies as it packs", packs, "echo a reason >&2; exit 2", 1, "fetch things: tar: exit status 2"},
		{"tar is killed", downloads, "kill -9 $$", 1, "fetch things: tar: signal: killed"},
		{"the disk is full, and tar dies", downloads, full + "exit 2", 1, "the disk that holds CACHE is full, and nothing half made was kept: fetch things: tar: no space left on device"},
		{"the disk is full, and tar reads on", packed, full + "cat >/dev/null; exit 2", 1, "the disk that holds CACHE is full, and nothing half made was kept: fetch things: tar: no space left on device"},
		{"the disk of temporary files is full", "echo 'E: write: No space left on device' >&2; exit 1", "exec cat", 1, "the disk that holds TMP is full, and nothing half made was kept: mmdebstrap: no space left on device"},
		{"apt finds too little room", `echo "E: You don't have enough free space in /x/archives/." >&2; exit 1`, "exec cat", 1, "the disk that holds TMP is full, and nothing half made was kept: mmdebstrap: no space left on device"},
		{"no such package", "echo 'E: Unable to locate package things' >&2; exit 1", "cat; exit 2", 1, "fetch things: mmdebstrap: exit status 1"},
		{"the download fails", "echo 'E: the network' >&2; exit 1", "cat; exit 2", downloadTries, "fetch things: mmdebstrap: exit status 1"},
		{"the download fails, but for a process", left, "cat; exit 2", downloadTries, "fetch things: mmdebstrap: exit status 3"},
		{"it goes well", packed, "exec cat", 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			fakeTools(t, map[string]string{"mmdebstrap": tt.mmdebstrap, "tar": tt.tar, "apt-get": "exit 1"})
			c := testCache(t)
			tries := 1
			c.note = func(format string, args ...any) {
				if strings.Contains(format, "trying again") {
					tries++
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), toolPatience/2)
			defer cancel()
			_, err := c.fetch(ctx, parcel{kind: "things", what: "things", suites: []string{"trixie"}, names: []string{"thing"}})
			if ctx.Err() != nil {
				t.Fatal("it did not end by itself")
			}
			got := ""
			if err != nil {
				got = firstLine(err)
			}
			want := strings.NewReplacer("CACHE", c.dir, "TMP", os.TempDir()).Replace(tt.want)
			if got != want {
				t.Errorf("got %v\nwant %s", err, want)
			}
			if tries != tt.tries {
				t.Errorf("it was tried %d times, want %d", tries, tt.tries)
			}
			if files, _ := os.ReadDir(os.TempDir()); len(files) > 0 {
				t.Errorf("left %s", files[0].Name())
			}
		})
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
			fakeTools(t, map[string]string{"dpkg-query": "echo installed"})
			fakeTools(t, tt.tools)
			out, err := exec.Command("../run", "true").CombinedOutput()
			exit, ok := errors.AsType[*exec.ExitError](err)
			if want := "vm: FAIL: " + tt.want + "\n"; !ok || exit.ExitCode() != exitHarness || !strings.HasSuffix(string(out), want) {
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
		fakeTools(t, map[string]string{"dpkg-query": "exit 1", "sudo": `exec "$@"`, "apt-get": "[ $1 = update ] || { echo \"" + tt.says + "\" >&2; exit 100; }"})
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
