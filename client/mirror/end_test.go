// SPDX-License-Identifier: BSD-3-Clause

package mirror

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/internal/fakekernel"
	"bulkdump/client/internal/script"
)

// A temporary error leads to another dump. Other errors end the mirror.
func TestMirrorErrors(t *testing.T) {
	mirror(t, 5, Options{}, func(r *mirrored) {
		r.overflow()
		r.change(func(k *fakekernel.Kernel) { k.DumpErrors = []syscall.Errno{unix.ENOMEM} })
		r.same()
		r.overflow()
		r.change(func(k *fakekernel.Kernel) { k.Overrun = true })
		if s := r.same(); s.Retries != 2 {
			r.Errorf("%+v", s)
		}
		r.change(func(k *fakekernel.Kernel) { k.DumpErrors = []syscall.Errno{unix.EPERM} })
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
	for what, want := range map[string]error{"unloaded": client.ErrNoFamily, "another number": client.ErrNoFamily, "lost farewell": ErrReloaded, "same number": ErrReloaded} {
		mirror(t, 5, Options{}, func(r *mirrored) {
			r.change(func(k *fakekernel.Kernel) {
				switch what {
				case "unloaded":
					k.Unload()
				case "another number":
					k.Unload()
					k.Load(script.Type + 1)
				case "lost farewell":
					k.QueueLimit = 0
					k.Unload()
					k.Load(script.Type + 1)
				case "same number":
					k.Load(script.Type)
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
	mirror(t, 2, Options{}, func(r *mirrored) {
		if err := r.m.Err(); err != nil {
			r.Error(err)
		}
		ctx, cancel := context.WithCancel(r.Context())
		other, err := Open(ctx, r.c, Options{})
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
		if err := r.m.Err(); !errors.Is(err, client.ErrClosed) || r.m.Len() != 2 {
			r.Errorf("%v, %d entries", err, r.m.Len())
		}
		for _, l := range r.k.Listeners {
			if !l.Closed() {
				r.Error("a socket for events is open")
			}
		}
		_ = r.c.Close()
		if _, err := Open(r.Context(), r.c, Options{}); !errors.Is(err, client.ErrClosed) {
			r.Errorf("%v, want client.ErrClosed", err)
		}
		for _, o := range []Options{{ResyncInterval: -1}, {ChangesLimit: -1}} {
			if _, err := Open(r.Context(), r.c, o); err == nil || errors.Is(err, client.ErrClosed) {
				r.Errorf("%+v: %v", o, err)
			}
		}
	})
}

// A mirror sends no request for a caller that has given up.
func TestMirrorWaitForTheFuture(t *testing.T) {
	mirror(t, 2, Options{}, func(r *mirrored) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		if err := r.m.Wait(ctx, 1<<40); !errors.Is(err, context.DeadlineExceeded) {
			r.Errorf("%v, want DeadlineExceeded", err)
		}
		if s := r.m.Stats(); s.Deltas != 0 || s.FullPasses != 1 || !s.Synced {
			r.Errorf("%+v", s)
		}
		var asked atomic.Bool
		r.step(func() { asked.Store(true) })
		time.Sleep(2 * settle * DefaultResyncInterval) // the earlier wait has ended
		asked.Store(false)
		time.Sleep(time.Hour)
		if asked.Load() {
			r.Error("it asks the kernel, and nobody wants to know")
		}
	})
}

// A wait for events has a time limit that starts with the first call. Callers
// that ask repeatedly do not delay the dump that shows that there are no
// events.
func TestMirrorWaitInPolls(t *testing.T) {
	for _, patience := range []time.Duration{time.Millisecond, 90 * time.Millisecond} {
		mirror(t, 2, Options{}, func(r *mirrored) {
			// The fill is undone: it has used generations, but has no event.
			r.change(func(k *fakekernel.Kernel) { k.FillBegin(100, 5); k.FillEnd(true) })
			generation := r.k.Generation
			start := time.Now()
			for {
				ctx, cancel := context.WithTimeout(r.Context(), patience)
				err := r.m.Wait(ctx, generation)
				cancel()
				if err == nil {
					break
				}
				if time.Since(start) > time.Minute {
					r.Fatalf("it never ends: %+v, table at %d", r.m.Stats(), generation)
				}
				time.Sleep(100*time.Millisecond - patience)
			}
			if took := time.Since(start); took > 2*settle*DefaultResyncInterval {
				r.Errorf("it took %v", took)
			}
		})
	}
}

// As long as events come, the mirror sends no request, even if a caller is
// always waiting.
func TestMirrorWaitsWhileEventsCome(t *testing.T) {
	mirror(t, 2, Options{}, func(r *mirrored) {
		var asked atomic.Int32
		r.change(func(k *fakekernel.Kernel) { k.Answered = func() { asked.Add(1) } })
		for range 1000 { // a caller always waits for the next one
			generation := r.m.Generation() + 1
			time.AfterFunc(10*time.Millisecond, func() {
				r.change(func(k *fakekernel.Kernel) { k.Put(fakekernel.Entry{ID: 1, Name: "x"}) })
			})
			if err := r.m.Wait(r.Context(), generation); err != nil {
				r.Fatal(err)
			}
		}
		time.Sleep(time.Minute) // also not after the last event
		if n := asked.Load(); n > 0 {
			r.Errorf("the kernel was asked %d times", n)
		}
		r.change(func(k *fakekernel.Kernel) { k.FillBegin(100, 5); k.FillEnd(true) })
		r.same()
	})
}

// If dumps fail repeatedly, they are not repeated ten times a second. After a
// successful dump, the time between dumps is short again.
func TestMirrorBacksOff(t *testing.T) {
	mirror(t, 2, Options{}, func(r *mirrored) {
		fail := func() []syscall.Errno {
			var all []syscall.Errno
			for range 1000 {
				all = append(all, unix.ENOMEM)
			}
			return all
		}
		for range 2 {
			before := r.m.Stats().Retries
			r.change(func(k *fakekernel.Kernel) { k.DumpErrors = fail() })
			r.overflow()
			time.Sleep(time.Second)
			early := r.m.Stats().Retries - before
			time.Sleep(10*time.Minute - time.Second)
			late := r.m.Stats().Retries - before
			// Retries come at 0, 0.2, 0.6, 1.4 s …, then every 10 s. At random,
			// the time between two is up to half as long again.
			if early < 2 || early > 4 || late < 40 || late > 66 {
				r.Errorf("%d retries in a second, %d in ten minutes", early, late)
			}
			r.change(func(k *fakekernel.Kernel) { k.DumpErrors = nil })
			r.same()
		}
	})
}

// Close does not wait for a request that the kernel is working on.
func TestMirrorCloseDoesNotWait(t *testing.T) {
	mirror(t, 2, Options{}, func(r *mirrored) {
		const long = time.Hour
		r.change(func(k *fakekernel.Kernel) { k.Answered = func() { time.Sleep(long) } }) // like the fill of another caller
		r.overflow()
		time.Sleep(time.Second)
		start := time.Now()
		if err := errors.Join(r.m.Close(), r.c.Close()); err != nil {
			r.Error(err)
		}
		if took := time.Since(start); took > 0 {
			r.Errorf("it took %v", took)
		}
		time.Sleep(long)
	})
}
