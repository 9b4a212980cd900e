// SPDX-License-Identifier: BSD-3-Clause

package cache

import (
	"context"
	"os"
	"strings"
	"testing"

	"bulkdump/vm/harness/internal/hosttest"

	"bulkdump/vm/harness/internal/host"
)

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
			hosttest.FakeTools(t, map[string]string{"mmdebstrap": tt.mmdebstrap, "tar": tt.tar, "apt-get": "exit 1"})
			c := testCache(t)
			tries := 1
			c.Note = func(format string, args ...any) {
				if strings.Contains(format, "trying again") {
					tries++
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), host.Patience/2)
			defer cancel()
			_, err := c.Fetch(ctx, Parcel{Kind: "things", What: "things", Suites: []string{"trixie"}, Names: []string{"thing"}})
			if ctx.Err() != nil {
				t.Fatal("it did not end by itself")
			}
			got := ""
			if err != nil {
				got = host.FirstLine(err)
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

func TestChooseMirror(t *testing.T) {
	const targets = `bookworm-security Debian http://sec.example/
bookworm-updates Debian http://upd.example/
stable Other http://other.example/
trixie Debian http://trixie.example/
bookworm Debian http://book.example/
`
	for _, tt := range []struct{ targets, suite, want string }{
		{targets, "bookworm", "http://book.example/"},
		{targets, "trixie", "http://trixie.example/"},
		{targets, "sid", "http://trixie.example/"},
		{"bookworm-security Debian http://sec.example/\n", "bookworm", ""},
		{"bookworm Ubuntu http://u.example/\nnonsense\n", "bookworm", ""},
		{"", "bookworm", ""},
	} {
		if got := chooseMirror(tt.targets, tt.suite); got != tt.want {
			t.Errorf("%s of %q: got %q, want %q", tt.suite, tt.targets, got, tt.want)
		}
	}
}
