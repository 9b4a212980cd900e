// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/output"
)

// runOnTerminals runs a command line on a table of two intervals of progress
// and a bit, between which the time for a line of it goes by.
func runOnTerminals(t *testing.T, stdout, stderr bool, f *fakeTable, args ...string) (got ran) {
	t.Helper()
	f.records = slices.Repeat([]client.Entry{first}, 2*output.ProgressInterval+10)
	f.each = func(i int) {
		if i%output.ProgressInterval == 0 {
			<-time.After(output.ProgressEvery) // of the bubble's clock
		}
	}
	synctest.Test(t, func(t *testing.T) {
		a, out, errs := newApp(f)
		width := 0
		if stderr {
			width = 80
		}
		a.onTerminals(out, stdout, errs, width)
		got = runApp(t.Context(), t, a, out, errs, args...)
	})
	return got
}

const cleared = "\r\x1b[K"

func TestProgress(t *testing.T) {
	const total = 2*output.ProgressInterval + 10
	for _, tt := range []struct {
		name           string
		stdout, stderr bool
		state          client.Table
		args           []string
		want           string
	}{
		{"no terminal", false, false, client.Table{Count: total}, nil, ""},
		{"only stdout is a terminal", true, false, client.Table{Count: total}, nil, ""},
		{"only stderr is a terminal", false, true, client.Table{Count: total}, nil,
			"\r\x1b[K4096 of 8202 records, 49%\r\x1b[K8192 of 8202 records, 99%" + cleared},
		{"data on the terminal", true, true, client.Table{Count: total}, nil, ""},
		{"a count on the terminal", true, true, client.Table{Count: total}, []string{"-o", "count"},
			"\r\x1b[K4096 of 8202 records, 49%\r\x1b[K8192 of 8202 records, 99%" + cleared},
		{"the table grows", false, true, client.Table{Count: 4096}, nil,
			"\r\x1b[K4096 of 4096 records, 100%\r\x1b[K8192 of 4096 records, 100%" + cleared},
		{"a range", false, true, client.Table{Count: total}, []string{"--from", "0"}, "\r\x1b[K4096 records\r\x1b[K8192 records" + cleared},
		{"a range with a limit", false, true, client.Table{Count: 5000}, []string{"--to", "0", "--limit", "8192"},
			"\r\x1b[K4096 of 8192 records, 50%\r\x1b[K8192 of 8192 records, 100%" + cleared},
		{"a limit", false, true, client.Table{Count: total}, []string{"--limit", "5000"}, "\r\x1b[K4096 of 5000 records, 81%" + cleared},
		{"a limit beyond the table", false, true, client.Table{Count: total}, []string{"--limit", "9000"},
			"\r\x1b[K4096 of 8202 records, 49%\r\x1b[K8192 of 8202 records, 99%" + cleared},
		{"several sockets", false, true, client.Table{Count: total}, []string{"--parallel", "2"},
			"\r\x1b[K4096 of 8202 records, 49%\r\x1b[K8192 of 8202 records, 99%" + cleared},
		{"a sync", false, true, client.Table{Count: 5000}, []string{"--sync", "--limit", "1"},
			"\r\x1b[K4096 of 5000 records, 81%\r\x1b[K8192 of 5000 records, 100%" + cleared + "the table of generation 0, after 0 passes (0 full)\n"},
		{"nothing to tell", false, true, client.Table{Count: total}, []string{"--limit", "4000"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := runOnTerminals(t, tt.stdout, tt.stderr, &fakeTable{state: tt.state}, append([]string{"dump"}, tt.args...)...)
			if got.code != 0 || got.stderr != tt.want {
				t.Errorf("exit code %d, stderr:\ngot  %q\nwant %q", got.code, got.stderr, tt.want)
			}
			if strings.ContainsAny(got.stdout, "\r\x1b%") {
				t.Errorf("progress among the data")
			}
		})
	}
}

// The progress line is gone before anything else is printed.
func TestProgressEndsBeforeMessages(t *testing.T) {
	for _, tt := range []struct {
		err  error
		args []string
		want string
	}{
		{client.ErrInterrupted, nil, changedWarning},
		{errors.New("broken"), nil, "bulkdump: broken\n"},
		{nil, []string{"--verify", "1"}, "bulkdump: checksum"},
		{nil, []string{"--stats"}, "pages "},
	} {
		// The table's state is not known, as the fake fails that too.
		got := runOnTerminals(t, false, true, &fakeTable{err: tt.err}, append([]string{"dump", "--from", "0"}, tt.args...)...)
		if want := "\r\x1b[K8192 records" + cleared + tt.want; !strings.Contains(got.stderr, want) {
			t.Errorf("stderr: got %q, want %q in it", got.stderr, want)
		}
	}
}

// The table's state is needed only for the progress.
func TestDumpGoesOnWithoutTheState(t *testing.T) {
	f := &fakeTable{err: client.ErrInterrupted, state: client.Table{Count: 1}} // fails Table too
	got := runOnTerminals(t, false, true, f, "dump", "--allow-interrupted")
	if want := "\r\x1b[K4096 records\r\x1b[K8192 records" + cleared + changedWarning; got.code != 0 || got.stderr != want {
		t.Errorf("exit code %d, stderr:\ngot  %q\nwant %q", got.code, got.stderr, want)
	}
	if want := []string{"table", "dump", "close"}; !slices.Equal(f.asked, want) {
		t.Errorf("asked: got %q, want %q", f.asked, want)
	}
}

// A slowWriter takes as long for a write as it is until the next line of progress.
type slowWriter struct{}

func (slowWriter) Write(b []byte) (int, error) {
	<-time.After(output.ProgressEvery)
	return len(b), nil
}

// The progress of a sync counts what is read, not what is printed then.
func TestProgressOfSyncEnds(t *testing.T) {
	f := &fakeTable{}
	for id := range uint32(3 * output.ProgressInterval) {
		f.records = append(f.records, client.Entry{ID: id, Name: strings.Repeat("x", 60)})
	}
	synctest.Test(t, func(t *testing.T) {
		a, _, stderr := newApp(f)
		a.onTerminals(slowWriter{}, false, stderr, 80)
		code := a.run(t.Context(), []string{"dump", "--sync"})
		if want := "the table of generation 0, after 0 passes (0 full)\n"; code != 0 || stderr.String() != want {
			t.Errorf("exit code %d, stderr %q, want %q", code, stderr, want)
		}
	})
}
