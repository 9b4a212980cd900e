// SPDX-License-Identifier: BSD-3-Clause

package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"bulkdump/client"
	"bulkdump/client/internal/fakekernel"
)

// A modelRun changes a table at each request of the mirror, and compares the
// state of the mirror with the table's history.
type modelRun struct {
	t      *rapid.T
	k      *fakekernel.Kernel
	r      *rand.Rand
	budget int  // changes left to make
	reload bool // whether the module may be reloaded
	limit  int  // limit of changes that wait for follow
	held   bool // whether events are delivered late
	m      atomic.Pointer[Mirror]
	wrong  atomic.Pointer[string]
}

// step makes no change, one change or several.
func (r *modelRun) step() {
	r.check()
	r.k.Lock()
	defer r.k.Unlock()
	for r.budget > 0 && r.r.IntN(3) > 0 {
		r.budget--
		r.change()
	}
}

// change makes a random change. The caller holds r.k's lock.
func (r *modelRun) change() {
	k := r.k
	id := r.r.Uint32N(12)
	switch n := r.r.IntN(100); {
	case n < 50:
		k.Put(fakekernel.Entry{ID: id, Name: "entry", Value: r.r.Uint64()})
	case n < 75:
		k.Del(id)
	case n < 78:
		k.Flush()
	case n < 86:
		k.FillBegin(12, 1+r.r.IntN(4))
	case n < 90:
		k.FillEnd(r.r.IntN(2) == 0)
	case n < 93:
		k.Forget()
	case n < 95:
		k.DumpErrors = append(k.DumpErrors, []syscall.Errno{unix.ENOMEM, unix.EMSGSIZE}[r.r.IntN(2)])
	case n < 96:
		k.Overrun = true
	case n < 97:
		k.PerPage = 1 + r.r.IntN(6)
	case n < 98:
		r.held = !r.held
		k.Hold(r.held)
	case r.reload && k.Open == 0 && k.Family != 0:
		k.FillEnd(true)
		family := k.Family
		k.Unload()
		k.Load(family + 1)
		for range r.r.IntN(40) {
			k.Put(fakekernel.Entry{ID: r.r.Uint32N(12), Name: "another"})
		}
	}
}

// reloaded reports whether the mirror's table is gone, together with its
// socket. The caller holds r.k's lock.
func (r *modelRun) reloaded() bool { return len(r.k.Listeners) == 0 }

// check compares a mirror that claims to be synced with the table of the
// generation that it reports.
func (r *modelRun) check() {
	m := r.m.Load()
	if m == nil {
		return
	}
	m.mu.Lock()
	synced, generation, all := m.synced() && m.err == nil, m.complete, m.table.snapshot()
	m.mu.Unlock()
	if !synced {
		return
	}
	r.k.Lock()
	defer r.k.Unlock()
	if r.reloaded() {
		return
	}
	got := make(map[uint32]client.Entry)
	for e := range all {
		got[e.ID] = e
	}
	if want, ok := r.k.History[generation]; !ok || !reflect.DeepEqual(got, table(want)) {
		s := fmt.Sprintf("at generation %d (known: %v):\n got %v\nwant %v", generation, ok, got, want)
		r.wrong.CompareAndSwap(nil, &s)
	}
}

// follow keeps a copy up to date with the mirror's changes.
func follow(ctx context.Context, m *Mirror, copied map[uint32]client.Entry) {
	changes := m.Changes(ctx)
	again := func() {
		clear(copied)
		for e := range m.All() {
			copied[e.ID] = e
		}
	}
	again()
	for e, err := range changes {
		switch {
		case errors.Is(err, ErrLagged):
			again()
		case err != nil:
			return
		case e.Kind == client.EventFlush:
			maps.DeleteFunc(copied, func(_ uint32, c client.Entry) bool { return c.Generation <= e.Generation })
		case e.Entry.Generation < copied[e.Entry.ID].Generation: // older than the entry from All
		case e.Kind == client.EventDel:
			delete(copied, e.Entry.ID)
		default:
			copied[e.Entry.ID] = e.Entry
		}
	}
}

func (r *modelRun) run(t *testing.T) {
	c := dial(t, r.k)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	m, err := Open(ctx, c, Options{ChangesLimit: r.limit})
	if err != nil {
		r.t.Fatal(err)
	}
	defer m.Close()
	r.m.Store(m)
	copied := make(map[uint32]client.Entry)
	go follow(ctx, m, copied)
	// The remaining changes are made while the mirror sleeps.
	for {
		r.k.Lock()
		pause := time.Duration(r.r.IntN(int(200 * time.Millisecond)))
		r.k.Unlock()
		time.Sleep(pause)
		synctest.Wait()
		r.step()
		r.k.Lock()
		over := r.budget == 0
		r.k.Unlock()
		if over {
			break
		}
	}
	r.k.Lock()
	r.k.Hold(false)
	r.k.FillEnd(r.r.IntN(2) == 0)
	generation, reloaded := r.k.Generation, r.reloaded()
	r.k.Unlock()
	if reloaded {
		m.running.Wait() // until it notices
		err = m.Err()
	} else {
		err = m.Wait(ctx, generation)
	}
	synctest.Wait()
	r.check()
	if wrong := r.wrong.Load(); wrong != nil {
		r.t.Fatal(*wrong)
	}
	if reloaded {
		if !errors.Is(err, client.ErrNoFamily) && !errors.Is(err, ErrReloaded) {
			r.t.Fatalf("after another load: %v", err)
		}
		return
	}
	if err != nil {
		r.t.Fatalf("%v, %+v, table at %d", err, m.Stats(), generation)
	}
	want := r.k.History[generation]
	if m.Len() != len(want) || m.Generation() != generation {
		r.t.Fatalf("%+v, want %d entries of generation %d", m.Stats(), len(want), generation)
	}
	if !reflect.DeepEqual(copied, table(want)) {
		r.t.Fatalf("by its changes:\n got %v\nwant %v", copied, want)
	}
}

// A mirror that claims to be synced is always equal to the table of the
// generation that it reports. It gets synced once the table stops changing.
// Meanwhile events are lost; dumps are interrupted, fail, or find the log too
// short; fills are undone; and the module is reloaded.
func TestMirrorModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// rapid must not see the test's deadline, which is in real time.
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			r := &modelRun{t: rt, k: fakekernel.New(),
				r:      rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)),
				budget: rapid.IntRange(0, 200).Draw(rt, "changes"),
				reload: rapid.IntRange(0, 3).Draw(rt, "reload") == 0,
			}
			r.limit = rapid.IntRange(1, 8).Draw(rt, "limit")
			r.k.QueueLimit = rapid.IntRange(1, 20).Draw(rt, "queue")
			r.k.PerPage = rapid.IntRange(1, 6).Draw(rt, "page")
			for range rapid.IntRange(0, 20).Draw(rt, "before") {
				r.change()
			}
			r.k.Step = r.step
			r.run(t)
		})
	})
}
