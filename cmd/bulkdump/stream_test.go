// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bulkdump/client/mirror"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The status of a mirror fits the narrowest terminals, with the largest numbers,
// and is gone before a warning.
func TestMirrorStatusFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, width := range []int{20, 40, 80, 200} {
			const most = 1<<64 - 1
			f := &fakeTable{
				endless: true, lost: mirror.ErrLagged, events: oneOfEach, pace: 1500 * time.Millisecond,
				mstats: mirror.Stats{Entries: math.MaxInt32, Generation: most, Events: most, Overruns: most, Deltas: most, FullPasses: most},
			}
			a, _, stderr := newApp(f)
			a.onTerminals(slowWriter{}, false, stderr, width)
			if code := a.run(t.Context(), []string{"mirror", "-o", "jsonl", "--timeout", "10s"}); code != exitOK {
				t.Errorf("exit code %d, stderr %q", code, stderr)
			}
			for i, line := range strings.Split(stderr.String(), cleared) {
				if status, rest, _ := strings.Cut(line, "\n"); i > 0 && rest == "" && len(status) >= width && !strings.HasPrefix(status, "bulkdump: ") {
					t.Errorf("%d columns of %d: %q", len(status), width, status)
				}
			}
			if !strings.Contains(stderr.String(), "2147483647 entries"[:min(width-1, 18)]) || !strings.Contains(stderr.String(), cleared+"bulkdump: warning: ") {
				t.Errorf("%q", stderr)
			}
		}
	})
}

// Closing the pipe also ends a command that has nothing to write.
func TestStreamEndsWithItsReader(t *testing.T) {
	for _, args := range [][]string{{"watch", "-o", "jsonl"}, {"mirror", "-o", "jsonl"}, {"mirror", "--dump-at-end", "-o", "jsonl"}, {"mirror", "--once"}} {
		r, w := pipe(t)
		f := &fakeTable{events: oneOfEach[:1], endless: true, mstats: mirror.Stats{Synced: args[1] != "--once"}}
		a, _, stderr := newApp(f)
		a.onTerminals(w, false, stderr, 0)
		ended := make(chan int)
		go func() { ended <- a.run(t.Context(), args) }()
		if len(args) == 3 && args[0] != "mirror" || len(args) == 3 && args[1] == "-o" {
			if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
				t.Error(err)
			}
		}
		_ = r.Close()
		if code := <-ended; code != exitOK || stderr.Len() > 0 {
			t.Errorf("%q: exit code %d, stderr %q", args, code, stderr)
		}
	}
}
