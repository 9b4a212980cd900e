// SPDX-License-Identifier: BSD-3-Clause

package mirror

import (
	"context"
	"maps"
	"reflect"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/internal/fakekernel"
	"bulkdump/client/internal/sockets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A mirrored is a fake kernel with a mirror of its table, in a synctest bubble.
type mirrored struct {
	*testing.T
	k *fakekernel.Kernel
	c *client.Client
	m *Mirror
}

func dial(t testing.TB, k *fakekernel.Kernel) *client.Client {
	t.Helper()
	c, err := sockets.Dial(k.Sockets())
	if err != nil {
		t.Fatal(err)
	}
	return c.(*client.Client)
}

// table converts a kernel's table to that of a mirror.
func table(entries map[uint32]fakekernel.Entry) map[uint32]client.Entry {
	all := make(map[uint32]client.Entry)
	for id, e := range entries {
		all[id] = client.Entry{ID: e.ID, Name: e.Name, Value: e.Value, Generation: e.Generation}
	}
	return all
}

// mirror runs a test on a synced mirror of a table with that many entries.
func mirror(t *testing.T, entries uint32, o Options, test func(*mirrored)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &mirrored{T: t, k: fakekernel.New()}
		for id := range entries {
			r.k.Put(fakekernel.Entry{ID: id, Name: "before"})
		}
		r.c = dial(t, r.k)
		defer r.c.Close()
		var err error
		if r.m, err = Open(t.Context(), r.c, o); err != nil {
			t.Fatal(err)
		}
		defer r.m.Close()
		if err := r.m.Synced(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(r)
	})
}

// change changes the table, under the kernel's lock.
func (r *mirrored) change(fn func(*fakekernel.Kernel)) {
	r.k.Lock()
	defer r.k.Unlock()
	fn(r.k)
}

// step sets what happens at each request to the kernel.
func (r *mirrored) step(fn func()) { r.change(func(k *fakekernel.Kernel) { k.Step = fn }) }

// same waits until the mirror has caught up, then compares it with the table.
func (r *mirrored) same() Stats {
	r.Helper()
	r.k.Lock()
	generation, want := r.k.Generation, maps.Clone(r.k.Entries)
	r.k.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	if err := r.m.Wait(ctx, generation); err != nil {
		r.Fatalf("%v, %+v, table at %d", err, r.m.Stats(), generation)
	}
	got := make(map[uint32]client.Entry)
	for e := range r.m.All() {
		got[e.ID] = e
	}
	if !reflect.DeepEqual(got, table(want)) || r.m.Generation() != generation || r.m.Len() != len(want) {
		r.Errorf("%+v: got %v, want %v of generation %d", r.m.Stats(), got, want, generation)
	}
	return r.m.Stats()
}

// overflow makes the kernel lose events.
func (r *mirrored) overflow() {
	synctest.Wait()
	r.change(func(k *fakekernel.Kernel) {
		k.QueueLimit = 1
		k.Hold(true)
		for id := range uint32(4) {
			k.Put(fakekernel.Entry{ID: id, Name: "lost"})
		}
		k.Hold(false)
		k.QueueLimit = 1 << 20
	})
}

// While a dump brings changes whose events come later, the mirror has only some
// of them, so it is not the table of any generation. It must not claim to be
// synced then, nor after a dump that failed in the middle.
func TestMirrorIsNotSyncedDuringADump(t *testing.T) {
	for _, errno := range []syscall.Errno{0, unix.ENOMEM} {
		mirror(t, 10, Options{}, func(r *mirrored) {
			var generation uint64
			halfway := 0
			r.change(func(k *fakekernel.Kernel) {
				k.PerPage = 1
				k.Hold(true)
				for id := range uint32(6) {
					k.Put(fakekernel.Entry{ID: id, Name: "late"})
				}
				generation = k.Generation
				k.Step = func() {
					s := r.m.Stats()
					for e := range r.m.All() {
						if e.Generation <= s.Generation {
							continue
						}
						if halfway++; s.Synced {
							r.Errorf("%+v with %+v", s, e)
						}
						if halfway == 2 && errno != 0 {
							r.change(func(k *fakekernel.Kernel) { k.DumpErrors = append(k.DumpErrors, errno) })
						}
					}
				}
			})
			if err := r.m.Wait(r.Context(), generation); err != nil {
				r.Fatal(err)
			}
			if s := r.same(); halfway == 0 || (s.Retries > 0) != (errno != 0) {
				r.Errorf("%d looks into a dump, %+v", halfway, s)
			}
			r.change(func(k *fakekernel.Kernel) { k.Step = func() {}; k.Hold(false) })
			r.same()
		})
	}
}

// As long as no event is lost, there is one dump.
func TestMirrorFollowsEvents(t *testing.T) {
	mirror(t, 10, Options{}, func(r *mirrored) {
		for n := range uint32(100) {
			r.change(func(k *fakekernel.Kernel) {
				k.Put(fakekernel.Entry{ID: n % 20, Name: "x"})
				k.Del(n % 7)
			})
		}
		r.change(func(k *fakekernel.Kernel) { k.Flush(); k.Put(fakekernel.Entry{ID: 3, Name: "three"}) })
		if s := r.same(); s.FullPasses != 1 || s.Deltas != 0 || s.Overruns+s.Gaps+s.Fills != 0 || !s.Synced {
			r.Errorf("%+v", s)
		}
		e, ok := r.m.Get(3)
		if _, none := r.m.Get(4); !ok || e.Name != "three" || none {
			r.Errorf("%+v, %v, %v", e, ok, none)
		}
	})
}

// A loss costs only a dump of the changes since then.
func TestMirrorRepairsALoss(t *testing.T) {
	mirror(t, 1000, Options{}, func(r *mirrored) {
		before := r.m.Stats()
		r.overflow()
		s := r.same()
		if s.Overruns != 1 || s.Deltas != 1 || s.FullPasses != 1 || s.Records-before.Records > 4 {
			r.Errorf("%+v, before the loss %+v", s, before)
		}
		r.change(func(k *fakekernel.Kernel) { k.FillBegin(5000, 7); k.FillEnd(false) })
		if s := r.same(); s.Fills != 1 || s.Deltas != 2 || s.Records-before.Records > 11 {
			r.Errorf("after a fill: %+v", s)
		}
	})
}

// A full pass is needed only if the log does not reach back far enough. It
// leaves no deleted entries in the mirror.
func TestMirrorSweeps(t *testing.T) {
	mirror(t, 20, Options{}, func(r *mirrored) {
		r.overflow()
		r.change(func(k *fakekernel.Kernel) {
			k.QueueLimit = 0
			k.Del(7)
			k.QueueLimit = 1 << 20
			k.Forget()
		})
		if s := r.same(); s.FullPasses != 2 || s.Stale != 1 {
			r.Errorf("%+v", s)
		}
		if _, ok := r.m.Get(7); ok {
			r.Error("an entry that was deleted is there")
		}
	})
}

// A fill that is undone has no event. A mirror notices that after a while, with
// a delta, or by the gap before the next event.
func TestMirrorOfUndoneFill(t *testing.T) {
	mirror(t, 5, Options{}, func(r *mirrored) {
		r.change(func(k *fakekernel.Kernel) { k.FillBegin(100, 5); k.FillEnd(true) })
		start := time.Now()
		if s := r.same(); s.Deltas != 1 || s.FullPasses != 1 {
			r.Errorf("%+v", s)
		}
		if took := time.Since(start); took > 2*settle*DefaultResyncInterval {
			r.Errorf("it took %v", took)
		}
		r.change(func(k *fakekernel.Kernel) {
			k.FillBegin(100, 5)
			k.FillEnd(true)
			k.Put(fakekernel.Entry{ID: 1, Name: "x"})
		})
		if s := r.same(); s.Gaps != 1 {
			r.Errorf("%+v", s)
		}
	})
}

// A full dump has entries of a fill that is undone later.
func TestMirrorOfPhantoms(t *testing.T) {
	mirror(t, 9, Options{}, func(r *mirrored) {
		r.overflow()
		filled := false
		r.change(func(k *fakekernel.Kernel) { k.Forget() })
		r.step(func() {
			r.change(func(k *fakekernel.Kernel) {
				if k.Open > 0 && !filled && k.Fulls == 2 {
					filled = true
					k.FillBegin(50, 4) // the next request undoes it, because the generation is even
				}
			})
		})
		time.Sleep(time.Second)
		if s := r.same(); !filled || r.k.Generation != 18 || s.Records < 9+9+4+4 {
			r.Errorf("%v, %+v", filled, s)
		}
	})
}

// Even if much is lost, dumps are not too frequent.
func TestMirrorLimitsItsRate(t *testing.T) {
	const interval, during = 50 * time.Millisecond, 10 * time.Second
	mirror(t, 3, Options{ResyncInterval: interval}, func(r *mirrored) {
		for start := time.Now(); time.Since(start) < during; {
			r.overflow()
			time.Sleep(time.Millisecond)
		}
		s := r.same()
		if most, least := uint64(during/interval), uint64(during/interval/2); s.Deltas > most+1 || s.Deltas < least {
			r.Errorf("%d deltas in %v, want %d to %d", s.Deltas, during, least, most)
		}
		// The time between dumps is random.
		if s.Deltas == uint64(during/interval) {
			r.Error("no jitter")
		}
	})
}

// A dump does not repair a loss that happens while the dump ends.
func TestMirrorLossDuringADump(t *testing.T) {
	mirror(t, 5, Options{}, func(r *mirrored) {
		r.overflow()
		asked := 0
		r.change(func(k *fakekernel.Kernel) {
			k.Answered = func() {
				if asked++; asked == 2 { // before and after the dump
					r.change(func(k *fakekernel.Kernel) {
						k.QueueLimit = 0
						k.Put(fakekernel.Entry{ID: 3, Name: "lost at the end"})
						k.QueueLimit = 1 << 20
					})
					time.Sleep(time.Millisecond) // until the mirror has noticed it
				}
			}
		})
		time.Sleep(time.Minute) // without any caller
		if e, _ := r.m.Get(3); e.Name != "lost at the end" {
			r.Errorf("asked %d times, %+v, %+v", asked, e, r.m.Stats())
		}
	})
}

// A mirror drops the tombstones of deletions.
func TestMirrorForgetsTombstones(t *testing.T) {
	mirror(t, 5, Options{}, func(r *mirrored) {
		r.overflow()
		r.change(func(k *fakekernel.Kernel) { k.Del(1); k.Del(2) })
		r.same()
		r.overflow()
		r.same()
		if n := len(r.m.table.tombstones); n != 0 {
			r.Errorf("%d tombstones are left", n)
		}
	})
}
