// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// waiting adds up how long a process had a thread that was ready to run, and did not,
// because the host was busy. It looks now and then. What a thread waited between
// two looks is the time that passed, less what the thread ran, if it was ready at
// both. Of several threads, the one that waited longest counts.
type waiting struct {
	mu    sync.Mutex
	total time.Duration

	pid     int
	last    time.Time
	threads map[string]thread // at that time, by directory
}

type thread struct {
	ready bool
	ran   time.Duration
}

const lookEvery = time.Second

// watch looks until stop is closed.
func (w *waiting) watch(stop <-chan struct{}) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		w.look(time.Now())
		select {
		case <-tick.C:
		case <-stop:
			return
		}
	}
}

func (w *waiting) sum() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.total
}

func (w *waiting) look(now time.Time) {
	threads := map[string]thread{}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", w.pid))
	for _, file := range files {
		text, _ := os.ReadFile(file) // a thread may have ended
		if t, ok := readThread(text); ok {
			threads[file] = t
		}
	}
	w.add(now, threads)
}

func (w *waiting) add(now time.Time, threads map[string]thread) {
	passed, longest := now.Sub(w.last), time.Duration(0)
	for file, t := range threads {
		if before, known := w.threads[file]; known && before.ready && t.ready {
			longest = max(longest, passed-(t.ran-before.ran))
		}
	}
	w.last, w.threads = now, threads
	w.mu.Lock()
	w.total += longest
	w.mu.Unlock()
}

// tickLength is that of the times in /proc, on every machine that Linux runs on.
const tickLength = 10 * time.Millisecond

// readThread reads a file stat (proc_pid_stat(5)).
func readThread(stat []byte) (t thread, ok bool) {
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // what is before may have spaces
	if len(f) < 13 {
		return t, false
	}
	for _, field := range f[11:13] { // utime and stime
		ticks, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return t, false
		}
		t.ran += time.Duration(ticks) * tickLength
	}
	t.ready = string(f[0]) == "R"
	return t, true
}
