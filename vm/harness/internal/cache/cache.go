// SPDX-License-Identifier: BSD-3-Clause

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

// Cache holds what is made once: build roots, modules, programs, what was
// found out about the machine. An entry's name says what it holds, and it is
// there whole or not at all.
type Cache struct {
	dir  string
	Note host.Notef
}

// Open makes the cache in the user's directory of caches, unless it is there.
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

// Lock takes the lock of that name, waiting for another run to let it go. The
// lock is the kernel's: it ends with the process, however that ends.
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

// Entry returns the path of the entry called name, which make fills if it is
// not there: into a directory of another name, moved into place when whole.
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
	// Under the lock nobody else makes it: what a killed run left is garbage.
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
		use(path) // what was unpacked there may be older
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

// fullDisk is an error for want of room where dir lies.
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

// use reports whether the entry is there, and notes that it was used now.
func use(path string) bool {
	now := time.Now()
	return os.Chtimes(path, now, now) == nil
}

// unused is how long an entry is kept that nobody uses.
const unused = 30 * 24 * time.Hour

// prune removes what was not used for so long: sources and kernels change, and
// what was made of the old ones is never asked for again. What somebody makes
// just now, or what cannot be removed, is left.
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
					path += ".part" // which nobody takes for whole
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

// Digest is a short name for what the parts say.
func Digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}
