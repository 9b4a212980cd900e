// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Errors that pass cost another try; others end the mirror.
func TestMirrorErrors(t *testing.T) {
	mirror(t, 5, MirrorOptions{}, func(r *mirrored) {
		r.overflow()
		r.change(func(k *tableKernel) { k.dumpErrors = []syscall.Errno{unix.ENOMEM} })
		r.same()
		r.overflow()
		r.change(func(k *tableKernel) { k.overrun = true })
		if s := r.same(); s.Retries != 2 {
			r.Errorf("%+v", s)
		}
		r.change(func(k *tableKernel) { k.dumpErrors = []syscall.Errno{unix.EPERM} })
		r.overflow()
		<-r.m.Done()
		if err := r.m.Err(); !errors.Is(err, unix.EPERM) {
			r.Errorf("%v, want EPERM", err)
		}
		if err := r.m.Wait(r.Context(), 1<<40); !errors.Is(err, unix.EPERM) {
			r.Errorf("Wait: %v, want EPERM", err)
		}
		if r.m.Len() != 5 {
			r.Errorf("%d entries are left", r.m.Len())
		}
	})
}

func TestMirrorOfReloadedModule(t *testing.T) {
	for what, want := range map[string]error{"unloaded": ErrNoFamily, "another number": ErrNoFamily, "lost farewell": ErrReloaded, "same number": ErrReloaded} {
		mirror(t, 5, MirrorOptions{}, func(r *mirrored) {
			r.change(func(k *tableKernel) {
				listeners := k.listeners
				switch what {
				case "unloaded":
					k.unload()
				case "another number":
					k.unload()
					k.load(fakeFamily + 1)
				case "lost farewell":
					k.queueLimit = 0
					k.unload()
					k.load(fakeFamily + 1)
				case "same number":
					k.load(fakeFamily)
					k.listeners = listeners
				}
			})
			if what == "same number" {
				r.overflow()
			}
			<-r.m.Done()
			if err := r.m.Err(); !errors.Is(err, want) {
				r.Errorf("%s: %v, want %v", what, err, want)
			}
		})
	}
}

func TestMirrorEnds(t *testing.T) {
	mirror(t, 2, MirrorOptions{}, func(r *mirrored) {
		if err := r.m.Err(); err != nil {
			r.Error(err)
		}
		ctx, cancel := context.WithCancel(r.Context())
		other, err := r.c.Mirror(ctx, MirrorOptions{})
		if err != nil {
			r.Fatal(err)
		}
		cancel()
		<-other.Done()
		if !errors.Is(other.Err(), context.Canceled) {
			r.Errorf("%v, want Canceled", other.Err())
		}
		_ = other.Close()
		if err := errors.Join(r.m.Close(), r.m.Close()); err != nil {
			r.Error(err)
		}
		if err := r.m.Err(); !errors.Is(err, ErrClosed) || r.m.Len() != 2 {
			r.Errorf("%v, %d entries", err, r.m.Len())
		}
		if len(r.c.watchers) != 0 {
			r.Errorf("%d watchers are open", len(r.c.watchers))
		}
		_ = r.c.Close()
		if _, err := r.c.Mirror(r.Context(), MirrorOptions{}); !errors.Is(err, ErrClosed) {
			r.Errorf("%v, want ErrClosed", err)
		}
		for _, o := range []MirrorOptions{{ResyncInterval: -1}, {ChangesLimit: -1}} {
			if _, err := r.c.Mirror(r.Context(), o); err == nil || errors.Is(err, ErrClosed) {
				r.Errorf("%+v: %v", o, err)
			}
		}
	})
}

// Who gave up waiting is not waited for.
func TestMirrorWaitForTheFuture(t *testing.T) {
	mirror(t, 2, MirrorOptions{}, func(r *mirrored) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		if err := r.m.Wait(ctx, 1<<40); !errors.Is(err, context.DeadlineExceeded) {
			r.Errorf("%v, want DeadlineExceeded", err)
		}
		if s := r.m.Stats(); s.Deltas != 0 || s.FullPasses != 1 || !s.Synced {
			r.Errorf("%+v", s)
		}
		asked := false
		r.step(func() { asked = true })
		time.Sleep(2 * settle * DefaultResyncInterval) // what had been waited for before
		asked = false
		time.Sleep(time.Hour)
		if asked {
			r.Error("it asks the kernel, and nobody wants to know")
		}
	})
}
