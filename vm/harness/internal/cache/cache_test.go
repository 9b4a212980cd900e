// SPDX-License-Identifier: BSD-3-Clause

package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func testCache(t *testing.T) *Cache {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	c, err := Open(func(string, ...any) {})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func fill(dir string) error { return os.WriteFile(filepath.Join(dir, "x"), []byte("whole"), 0o644) }

func (c *Cache) holds(t *testing.T) []string {
	t.Helper()
	names := []string{}
	files, err := os.ReadDir(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Name() != "locks" {
			names = append(names, f.Name())
		}
	}
	return names
}

func TestEntryIsMadeOnce(t *testing.T) {
	c := testCache(t)
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			path, err := c.Entry(t.Context(), "thing", func(dir string) error {
				made.Add(1)
				return fill(dir)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if text, err := os.ReadFile(filepath.Join(path, "x")); string(text) != "whole" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
	wg.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("made %d times", n)
	}
	if got := c.holds(t); len(got) != 1 || got[0] != "thing" {
		t.Errorf("the cache holds %q", got)
	}
}

// While it is made it has not its name: one who looks sees all or nothing.
func TestEntryIsWholeOrNotThere(t *testing.T) {
	c := testCache(t)
	_, err := c.Entry(t.Context(), "thing", func(dir string) error {
		if _, err := os.Stat(filepath.Join(c.dir, "thing")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("there before it is whole: %v", err)
		}
		return fill(dir)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEntryFailureLeavesNothing(t *testing.T) {
	c := testCache(t)
	want := errors.New("no")
	_, err := c.Entry(t.Context(), "thing", func(dir string) error { return errors.Join(fill(dir), want) })
	if !errors.Is(err, want) || len(c.holds(t)) != 0 {
		t.Errorf("%v, and the cache holds %q", err, c.holds(t))
	}
	_, err = c.Entry(t.Context(), "thing", func(dir string) error { return syscall.ENOSPC })
	if err == nil || !strings.Contains(err.Error(), "is full") {
		t.Errorf("a full disk is told as %v", err)
	}
	if _, err := c.Entry(t.Context(), "thing", fill); err != nil {
		t.Errorf("after a failure: %v", err)
	}
}

// A run that was killed left the half of it.
func TestEntryReplacesWhatAKilledRunLeft(t *testing.T) {
	c := testCache(t)
	if err := os.MkdirAll(filepath.Join(c.dir, "thing.part", "half"), 0o755); err != nil {
		t.Fatal(err)
	}
	path, err := c.Entry(t.Context(), "thing", fill)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "half")); err == nil {
		t.Error("the half is in the whole")
	}
	if got := c.holds(t); len(got) != 1 {
		t.Errorf("the cache holds %q", got)
	}
}

func TestEntryCancelled(t *testing.T) {
	c := testCache(t)
	why := errors.New("a signal")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := c.Entry(ctx, "thing", func(dir string) error {
		cancel(why)
		return errors.Join(fill(dir), errors.New("a tool was killed"))
	})
	if !errors.Is(err, why) || len(c.holds(t)) != 0 {
		t.Errorf("%v, and the cache holds %q", err, c.holds(t))
	}

	// One that waits for another run's lock.
	unlock, err := c.Lock(t.Context(), "thing")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	waits := make(chan struct{})
	c.Note = func(string, ...any) { close(waits) }
	ctx, cancel = context.WithCancelCause(t.Context())
	go func() {
		<-waits
		cancel(why)
	}()
	if _, err := c.Entry(ctx, "thing", fill); !errors.Is(err, why) {
		t.Errorf("while waiting: %v", err)
	}
}

// What nobody used for long goes when something is made; what was used stays,
// however old it is.
func TestEntryPrunesTheUnused(t *testing.T) {
	c := testCache(t)
	names := []string{"root-old", "root-used", "kernel-left.part", "root-busy.part", "linux-source-old"}
	long := time.Now().Add(-unused - time.Hour)
	for _, name := range names {
		dir := filepath.Join(c.dir, name)
		if err := errors.Join(os.MkdirAll(dir, 0o755), fill(dir), os.Chtimes(dir, long, long)); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := c.Lock(t.Context(), "root-busy")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	never := func(string) error { return errors.New("made again") }
	if _, err := c.Entry(t.Context(), "root-used", never); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Entry(t.Context(), "root-new", fill); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(c.holds(t), " "), "linux-source-old root-busy.part root-new root-used"; got != want {
		t.Errorf("the cache holds %s, want %s", got, want)
	}
}

func TestDigestKeepsPartsApart(t *testing.T) {
	if Digest("ab", "c") == Digest("a", "bc") || Digest("a") == Digest("a", "") {
		t.Error("two contents have one name")
	}
}
