// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// These tests use the time of a synctest bubble, so nothing really waits.

const stall = time.Second

func TestStall(t *testing.T) {
	foreign := script.Step{Page: rec(0, 9), From: 99, After: stall / 2}
	for _, tt := range []struct {
		name  string
		steps []script.Step
		want  []byte
		err   error
		took  time.Duration
	}{
		{"nothing comes", steps(script.Page(rec(0, 1)), script.Step{Wait: true}), []byte{1}, nldump.ErrStalled, stall},
		{"too late", steps(script.Step{Page: done(), After: stall + 1}), nil, nldump.ErrStalled, stall},
		{"each in time", steps(script.Step{Page: rec(0, 1), After: stall - 1}, script.Step{Page: rec(0, 2), After: stall - 1}, script.Step{Page: done(), After: stall - 1}),
			[]byte{1, 2}, nil, 3*stall - 3},
		{"others do not count", steps(foreign, foreign, foreign, script.Page(done())), nil, nldump.ErrStalled, stall},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, sock := script.Stream(nldump.Config{StallTimeout: stall}, tt.steps...)
				defer s.Close()
				start := time.Now()
				got, err := read(t.Context(), s)
				if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
					t.Errorf("got %v, %v; want %v, %v", got, err, tt.want, tt.err)
				}
				if tt.err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || s.Idle()) {
					t.Errorf("%v; idle %v", err, s.Idle())
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if sock.Deadline() {
					t.Error("the deadline stayed set")
				}
			})
		})
	}
}

// Time that the caller spends on a record does not count towards the stall
// timeout.
func TestSlowLoopIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := script.Stream(nldump.Config{StallTimeout: stall}, script.Page(rec(0, 1)), script.Step{Page: done(), After: stall / 2})
		defer s.Close()
		for _, err := range s.Records(t.Context(), request()) {
			if err != nil {
				t.Error(err)
			}
			time.Sleep(10 * stall)
		}
	})
}

// If the context ends before the stall timeout, the error is that of the
// context. This also holds if it ends just as a page is requested.
func TestContextBeforeStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := script.Stream(nldump.Config{StallTimeout: stall}, script.Page(rec(0, 1)), script.Step{Wait: true})
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), stall/2)
		defer cancel()
		if _, err := read(ctx, s); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nldump.ErrStalled) {
			t.Errorf("got %v", err)
		}
	})
	// Repeated often, because it is a race: the deadline of the timeout must
	// not replace that of the context.
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			s, _ := script.Stream(nldump.Config{StallTimeout: time.Hour}, script.Page(rec(0, 1)), script.Step{Wait: true})
			defer s.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			start := time.Now()
			for _, err := range s.Records(ctx, request()) {
				if err == nil {
					go cancel()
				} else if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			}
			if time.Since(start) != 0 {
				t.Errorf("the cancel took %v", time.Since(start))
			}
		})
	}
}

// Closing the stream also takes precedence over a stall.
func TestStallWhileClosed(t *testing.T) {
	s, _ := script.Stream(nldump.Config{StallTimeout: time.Hour}, script.Page(rec(0, 1)), script.Page(done()))
	for _, err := range s.Records(t.Context(), request()) {
		if err == nil {
			_ = s.Close()
		} else if !errors.Is(err, os.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}

// Two pages of the same length with the same start and end are equal only if
// their middle is also the same.
func TestPagesThatLookAlike(t *testing.T) {
	alike := func(middle byte) script.Step {
		var page []byte
		for n := range 61 {
			v := byte(7)
			if n == 30 {
				v = middle
			}
			page = append(page, rec(0, v)...)
		}
		return script.Page(page)
	}
	var differ, same []script.Step
	for n := range byte(10) {
		differ = append(differ, alike(n))
		same = append(same, alike(0))
	}
	for _, tt := range []struct {
		name  string
		limit int
		steps []script.Step
		pages int
		err   error
	}{
		{"differ", 0, append(differ, script.Page(done())), 10, nil},
		{"differ, none may repeat", 1, append(differ, script.Page(done())), 10, nil},
		// The third page is compared with the second.
		{"same, none may repeat", 1, append(same, script.Page(done())), 2, nldump.ErrNoProgress},
		{"same", 0, append(same, script.Page(done())), 10, nil},
		{"same, as many as there are", 9 * 61, append(same, script.Page(done())), 10, nil},
		{"same, one too many", 8 * 61, append(same, script.Page(done())), 9, nldump.ErrNoProgress},
		{"same, no limit", -1, append(same, script.Page(done())), 10, nil},
		{"same after those that differ", 3 * 61, append(append(slices.Clone(differ), same...), script.Page(done())), 10 + 1 + 2, nldump.ErrNoProgress},
		{"each thrice", 3 * 61, steps(alike(1), alike(1), alike(1), alike(2), alike(2), alike(2), alike(3), alike(3), alike(3), script.Page(done())), 9, nil},
		{"each twice", 0, steps(alike(1), alike(1), alike(2), alike(2), alike(3), alike(3), alike(4), alike(4), script.Page(done())), 8, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := script.Stream(nldump.Config{RepeatLimit: tt.limit}, tt.steps...)
			var err error
			records := 0
			for _, e := range s.Records(t.Context(), request()) {
				if err = e; e == nil {
					records++
				}
			}
			if records != 61*tt.pages || !errors.Is(err, tt.err) {
				t.Errorf("%d records, %v; want %d, %v", records, err, 61*tt.pages, tt.err)
			}
		})
	}
}
