// SPDX-License-Identifier: BSD-3-Clause

// Package cache keeps what is made or fetched once.
package cache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"bulkdump/vm/harness/internal/host"
)

// Cache holds what is made once: build roots, modules, programs, facts about the
// machine. An entry's name says what it was made from. An entry is complete, or
// it does not exist.
type Cache struct {
	dir  string
	Note host.Notef
}

// Open opens the cache below the user's cache directory, and makes it first if
// need be. note tells the user what takes long.
func Open(note host.Notef) (*Cache, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	c := &Cache{dir: filepath.Join(base, "bulkdump"), Note: note}
	return c, os.MkdirAll(filepath.Join(c.dir, "locks"), 0o755)
}

// Path is where the entry of that name is, or would be.
func (c *Cache) Path(name string) string { return filepath.Join(c.dir, name) }

// Lock takes the lock of that name, and waits while another run holds it. The
// kernel releases the lock when the process ends, however it ends.
func (c *Cache) Lock(ctx context.Context, name string) (unlock func(), err error) {
	f, err := c.openLock(name)
	if err != nil {
		return nil, err
	}
	for waited := false; ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, err
		}
		if !waited {
			c.Note("another run is making %s: waiting for it", name)
			waited = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Entry returns the path of the entry called name. If there is none, make fills a
// directory with another name, which is renamed when it is complete.
func (c *Cache) Entry(ctx context.Context, name string, make func(dir string) error) (string, error) {
	path := c.Path(name)
	if use(path) {
		return path, nil
	}
	unlock, err := c.Lock(ctx, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if use(path) {
		return path, nil
	}
	// No other run makes it while this one holds the lock, so what is there
	// was left by a run that was killed.
	tmp := path + ".part"
	if err := os.RemoveAll(tmp); err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	err = os.MkdirAll(tmp, 0o755)
	if err == nil {
		err = make(tmp)
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		use(path) // unpacked files may have brought an older time
		c.prune()
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if isFull(err) {
		full, ok := errors.AsType[fullDisk](err)
		if !ok {
			full = fullDisk{c.dir, err}
		}
		err = full
	}
	return path, err
}

// fullDisk is an error because the disk that holds dir is full.
type fullDisk struct {
	dir string
	err error
}

func (f fullDisk) Error() string {
	return fmt.Sprintf("the disk that holds %s is full, and nothing half made was kept: %v", f.dir, f.err)
}

func (f fullDisk) Unwrap() error { return f.err }

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// use reports whether the entry exists, and records that it was used now.
func use(path string) bool {
	now := time.Now()
	return os.Chtimes(path, now, now) == nil
}

// unused is how long an entry stays that no run uses.
const unused = 30 * 24 * time.Hour

// prune removes the entries that were not used for that long. Sources and kernels
// change, and nothing asks for what was made from the old ones. It leaves an
// entry that another run is making, and one that cannot be removed.
func (c *Cache) prune() {
	for _, kind := range []string{"bin-", "kernel-", "kvm-", "modules-", "packages-", "qemu-", "root-", "source-", "unpacked-", "users-"} {
		paths, _ := filepath.Glob(filepath.Join(c.dir, kind+"*"))
		for _, path := range paths {
			st, err := os.Lstat(path)
			if err != nil || time.Since(st.ModTime()) < unused {
				continue
			}
			name, part := strings.CutSuffix(filepath.Base(path), ".part")
			f, err := c.openLock(name)
			if err != nil {
				continue
			}
			if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
				if !part && os.Rename(path, path+".part") == nil {
					path += ".part" // so that no run takes it for complete
				}
				os.RemoveAll(path)
			}
			f.Close()
		}
	}
}

func (c *Cache) openLock(name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(c.dir, "locks", strings.ReplaceAll(name, "/", "-")), os.O_RDWR|os.O_CREATE, 0o644)
}

// Digest is a short name for the parts. Parts that are cut elsewhere have another.
func Digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}
