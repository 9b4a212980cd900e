// SPDX-License-Identifier: BSD-3-Clause

package client

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
)

// A modelRun changes a table behind a mirror's back, wherever the mirror looks
// at the kernel, and compares what the mirror says with the table's history.
type modelRun struct {
	t      *rapid.T
	k      *tableKernel
	r      *rand.Rand
	budget int  // changes that are left
	reload bool // the module may be loaded anew
	limit  int  // of changes that wait for follow
	held   bool // events are read late
	m      atomic.Pointer[Mirror]
	wrong  atomic.Pointer[string]
}

// step makes none, one or some changes.
func (r *modelRun) step() {
	r.check()
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	for r.budget > 0 && r.r.IntN(3) > 0 {
		r.budget--
		r.change()
	}
}

// change makes a random one; r.k.mu is held.
func (r *modelRun) change() {
	k := r.k
	id := r.r.Uint32N(12)
	switch n := r.r.IntN(100); {
	case n < 50:
		k.put(Entry{ID: id, Name: "entry", Value: r.r.Uint64()})
	case n < 75:
		k.del(id)
	case n < 78:
		k.change(EventFlush, Entry{})
	case n < 86:
		k.fillBegin(12, 1+r.r.IntN(4))
	case n < 90:
		k.fillEnd(r.r.IntN(2) == 0)
	case n < 93:
		k.forget()
	case n < 95:
		k.dumpErrors = append(k.dumpErrors, []syscall.Errno{unix.ENOMEM, unix.EMSGSIZE}[r.r.IntN(2)])
	case n < 96:
		k.overrun = true
	case n < 97:
		k.perPage = 1 + r.r.IntN(6)
	case n < 98:
		r.held = !r.held
		k.hold(r.held)
	case r.reload && k.open == 0 && k.family != 0:
		k.fillEnd(true)
		family := k.family
		k.unload()
		k.load(family + 1)
		for range r.r.IntN(40) {
			k.put(Entry{ID: r.r.Uint32N(12), Name: "another"})
		}
	}
}

// reloaded tells whether the mirror is of a table that is gone; r.k.mu is held.
func (r *modelRun) reloaded(m *Mirror) bool { return m.w.family != r.k.family }

// check compares the mirror, if it says that it is synced, with the table of
// the generation that it claims to be.
func (r *modelRun) check() {
	m := r.m.Load()
	if m == nil {
		return
	}
	m.mu.Lock()
	synced, generation, all := m.synced() && m.err == nil, m.held, m.table.snapshot()
	m.mu.Unlock()
	if !synced {
		return
	}
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	if r.reloaded(m) {
		return
	}
	got := make(map[uint32]Entry)
	for e := range all {
		got[e.ID] = e
	}
	if want, ok := r.k.history[generation]; !ok || !reflect.DeepEqual(got, want) {
		s := fmt.Sprintf("at generation %d (known: %v):\n got %v\nwant %v", generation, ok, got, want)
		r.wrong.CompareAndSwap(nil, &s)
	}
}

// follow keeps a copy of the mirror by its changes.
func follow(ctx context.Context, m *Mirror, copied map[uint32]Entry) {
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
		case e.Kind == EventFlush:
			maps.DeleteFunc(copied, func(_ uint32, c Entry) bool { return c.Generation <= e.Generation })
		case e.Entry.Generation < copied[e.Entry.ID].Generation: // older than what All had
		case e.Kind == EventDel:
			delete(copied, e.Entry.ID)
		default:
			copied[e.Entry.ID] = e.Entry
		}
	}
}

func (r *modelRun) run(t *testing.T) {
	c := r.k.dial(t)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	m, err := c.Mirror(ctx, MirrorOptions{ChangesLimit: r.limit})
	if err != nil {
		r.t.Fatal(err)
	}
	defer m.Close()
	r.m.Store(m)
	copied := make(map[uint32]Entry)
	go follow(ctx, m, copied)
	// What the mirror's own calls did not use up is changed in its sleep.
	for {
		r.k.mu.Lock()
		pause := time.Duration(r.r.IntN(int(200 * time.Millisecond)))
		r.k.mu.Unlock()
		time.Sleep(pause)
		synctest.Wait()
		r.step()
		r.k.mu.Lock()
		over := r.budget == 0
		r.k.mu.Unlock()
		if over {
			break
		}
	}
	r.k.mu.Lock()
	r.k.hold(false)
	r.k.fillEnd(r.r.IntN(2) == 0)
	generation, reloaded := r.k.generation, r.reloaded(m)
	r.k.mu.Unlock()
	if reloaded {
		m.running.Wait() // it finds out
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
		if !errors.Is(err, ErrNoFamily) && !errors.Is(err, ErrReloaded) {
			r.t.Fatalf("after another load: %v", err)
		}
		return
	}
	if err != nil {
		r.t.Fatalf("%v, %+v, table at %d", err, m.Stats(), generation)
	}
	want := r.k.history[generation]
	if m.Len() != len(want) || m.Generation() != generation {
		r.t.Fatalf("%+v, want %d entries of generation %d", m.Stats(), len(want), generation)
	}
	if !reflect.DeepEqual(copied, want) {
		r.t.Fatalf("by its changes:\n got %v\nwant %v", copied, want)
	}
}

// Whatever happens, a mirror that says that it is synced is the table of the
// generation that it names, and when the table rests it comes to that. Events
// are lost, dumps are interrupted, fail, or find the log too short, fills are
// undone, and the module is loaded anew.
func TestMirrorModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Without the deadline, which is not for a bubble.
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			r := &modelRun{t: rt, k: newTableKernel(),
				r:      rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)),
				budget: rapid.IntRange(0, 200).Draw(rt, "changes"),
				reload: rapid.IntRange(0, 3).Draw(rt, "reload") == 0,
			}
			r.limit = rapid.IntRange(1, 8).Draw(rt, "limit")
			r.k.queueLimit = rapid.IntRange(1, 20).Draw(rt, "queue")
			r.k.perPage = rapid.IntRange(1, 6).Draw(rt, "page")
			for range rapid.IntRange(0, 20).Draw(rt, "before") {
				r.change()
			}
			r.k.step = r.step
			r.run(t)
		})
	})
}
