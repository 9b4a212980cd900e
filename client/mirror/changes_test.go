// SPDX-License-Identifier: BSD-3-Clause

package mirror

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"bulkdump/client"
	"bulkdump/client/internal/fakekernel"
)

// A loop over All sees the table of one moment, even if changes are applied
// meanwhile.
func TestMirrorAllWhileItChanges(t *testing.T) {
	mirror(t, 300, Options{}, func(r *mirrored) {
		n := uint32(0)
		for e := range r.m.All() {
			if e.ID != n || e.Name != "before" {
				r.Fatalf("%+v, want id %d", e, n)
			}
			n++
			r.change(func(k *fakekernel.Kernel) { k.Del(300 - n); k.Put(fakekernel.Entry{ID: 1000 + n, Name: "after"}) })
			r.same()
		}
		if n != 300 {
			r.Errorf("%d entries, want 300", n)
		}
	})
}

func TestMirrorChanges(t *testing.T) {
	mirror(t, 4, Options{ChangesLimit: 3}, func(r *mirrored) {
		changes := r.m.Changes(r.Context())
		unread := r.m.Changes(r.Context())
		_ = unread
		r.change(func(k *fakekernel.Kernel) {
			k.Put(fakekernel.Entry{ID: 1, Name: "set"})
			k.Del(2)
			k.Put(fakekernel.Entry{ID: 9, Name: "new"})
		})
		r.same()
		var got []string
		for e, err := range changes {
			if err != nil {
				got = append(got, err.Error())
				break
			}
			got = append(got, e.Kind.String()+string(rune('0'+e.Entry.ID)))
			if len(got) == 3 { // then make more changes than the limit
				r.change(func(k *fakekernel.Kernel) {
					for id := range uint32(4) {
						k.Put(fakekernel.Entry{ID: id, Name: "x"})
					}
				})
				r.same()
			}
		}
		want := []string{"set1", "del2", "new9", ErrLagged.Error()}
		if !reflect.DeepEqual(got, want) {
			r.Errorf("got %q, want %q", got, want)
		}
		// A second loop gets the changes from now on.
		r.change(func(k *fakekernel.Kernel) { k.Put(fakekernel.Entry{ID: 0, Name: "nobody listens"}) })
		r.same()
		time.AfterFunc(time.Second, func() {
			r.change(func(k *fakekernel.Kernel) { k.Flush() })
		})
		for e, err := range changes {
			if err != nil || e.Kind != client.EventFlush || e.Count != 5 {
				r.Errorf("%+v, %v, want a flush", e, err)
			}
			break
		}
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		for e, err := range r.m.Changes(ctx) {
			if !errors.Is(err, context.DeadlineExceeded) {
				r.Errorf("%+v, %v, want DeadlineExceeded", e, err)
			}
		}
		time.AfterFunc(time.Second, func() { _ = r.m.Close() })
		for e, err := range r.m.Changes(r.Context()) {
			if !errors.Is(err, client.ErrClosed) {
				r.Errorf("%+v, %v, want client.ErrClosed", e, err)
			}
		}
		for f := range r.m.feeds {
			if len(f.queue) > 3 || !f.lagged {
				r.Errorf("%d changes wait, and nobody reads them", len(f.queue))
			}
		}
	})
}

// A context ends a loop that always has something to do. Changes that nobody
// reads are freed then.
func TestMirrorChangesEndWithTheContext(t *testing.T) {
	mirror(t, 1, Options{}, func(r *mirrored) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		changes := r.m.Changes(ctx)
		_ = r.m.Changes(ctx)
		put := func() {
			r.change(func(k *fakekernel.Kernel) { k.Put(fakekernel.Entry{ID: 0, Name: "x"}) })
			synctest.Wait()
		}
		put()
		n := 0
		for e, err := range changes {
			cancel()
			put()
			if n++; n > 2 || n == 1 && (err != nil || e.Kind != client.EventSet) || n == 2 && !errors.Is(err, context.Canceled) {
				r.Fatalf("%d: %+v, %v", n, e, err)
			}
		}
		synctest.Wait()
		if len(r.m.feeds) != 0 {
			r.Errorf("%d are left", len(r.m.feeds))
		}
	})
}

// A copied is a copy built from what Follow yields.
type copied struct {
	entries map[uint32]client.Entry
	told    int // entries that were new, set or deleted
	lags    int
}

// follow applies what Follow yields until the copy has the entry with the id.
func (c *copied) follow(r *mirrored, id uint32, each func(lagged bool)) {
	for e, err := range r.m.Follow(r.Context()) {
		each(errors.Is(err, ErrLagged))
		switch {
		case errors.Is(err, ErrLagged):
			c.lags++
			continue
		case err != nil:
			r.Fatal(err)
		case e.Kind == client.EventFlush:
			maps.DeleteFunc(c.entries, func(_ uint32, h client.Entry) bool { return h.Generation <= e.Generation })
			continue
		}
		c.told++
		h, known := c.entries[e.Entry.ID]
		if known != (e.Kind != client.EventNew) || h.Generation > e.Generation || h.Generation == e.Generation && e.Kind != client.EventDel {
			r.Errorf("%+v, known before: %v, %+v", e, known, h)
		}
		if c.entries[e.Entry.ID] = e.Entry; e.Kind == client.EventDel {
			delete(c.entries, e.Entry.ID)
		}
		if e.Entry.ID == id {
			return
		}
	}
}

// Each entry comes once, even with a small limit, and then each change.
func TestMirrorFollow(t *testing.T) {
	mirror(t, 300, Options{ChangesLimit: 10}, func(r *mirrored) {
		c := copied{entries: make(map[uint32]client.Entry)}
		n := 0
		c.follow(r, 5000, func(bool) {
			if n++; n == 100 { // some of them were delivered before, some were not
				r.change(func(k *fakekernel.Kernel) {
					k.Put(fakekernel.Entry{ID: 5, Name: "set"})
					k.Del(6)
					k.Put(fakekernel.Entry{ID: 200, Name: "set"})
					k.Del(201)
					k.Put(fakekernel.Entry{ID: 4000, Name: "new"})
					k.Put(fakekernel.Entry{ID: 4000, Name: "newer"})
					k.Put(fakekernel.Entry{ID: 5000, Name: "last"})
				})
				r.same()
			}
		})
		if !reflect.DeepEqual(c.entries, table(r.k.Entries)) || c.told != 300+7 || c.lags != 0 {
			r.Errorf("%d entries of %d, %d told, %d lags", len(c.entries), len(r.k.Entries), c.told, c.lags)
		}
	})
}

// Changes that a slow reader missed come as a difference.
func TestMirrorFollowLags(t *testing.T) {
	mirror(t, 50, Options{ChangesLimit: 10}, func(r *mirrored) {
		c := copied{entries: make(map[uint32]client.Entry)}
		step := 0
		c.follow(r, 9999, func(bool) {
			if step++; step%8 != 0 || r.k.Entries[9999].Name != "" {
				return
			}
			r.change(func(k *fakekernel.Kernel) {
				if step == 120 {
					k.Flush()
				}
				for id := range uint32(25) {
					k.Put(fakekernel.Entry{ID: uint32(step)%7 + 3*id, Name: "set"})
					k.Del(uint32(step)%5 + 4*id)
				}
				if step > 800 {
					k.Put(fakekernel.Entry{ID: 9999, Name: "last"})
				}
			})
			r.same()
		})
		if !reflect.DeepEqual(c.entries, table(r.k.Entries)) || c.lags < 5 {
			r.Errorf("%d entries of %d, %d lags", len(c.entries), len(r.k.Entries), c.lags)
		}
	})
}

// A change between the lag and the reading of the entries comes once.
func TestMirrorFollowTellsOnce(t *testing.T) {
	mirror(t, 20, Options{ChangesLimit: 10}, func(r *mirrored) {
		c := copied{entries: make(map[uint32]client.Entry)}
		n := 0
		c.follow(r, 5000, func(lagged bool) {
			if n++; n == 20 {
				r.change(func(k *fakekernel.Kernel) {
					for id := range uint32(12) {
						k.Put(fakekernel.Entry{ID: id, Name: "lost"})
					}
				})
				r.same()
			}
			if lagged {
				r.change(func(k *fakekernel.Kernel) {
					k.Put(fakekernel.Entry{ID: 1, Name: "set"})
					k.Del(2)
					k.Put(fakekernel.Entry{ID: 2, Name: "again"})
					k.Del(3)
				})
				r.same()
				time.AfterFunc(time.Second, func() {
					r.change(func(k *fakekernel.Kernel) { k.Put(fakekernel.Entry{ID: 5000, Name: "last"}) })
				})
			}
		})
		if !reflect.DeepEqual(c.entries, table(r.k.Entries)) || c.told != 20+12+1 || c.lags != 1 {
			r.Errorf("%d entries of %d, %d told, %d lags", len(c.entries), len(r.k.Entries), c.told, c.lags)
		}
	})
}

// A loop that is left among the entries leaves no feed that keeps collecting.
func TestMirrorFollowLeft(t *testing.T) {
	mirror(t, 3, Options{}, func(r *mirrored) {
		for range r.m.Follow(r.Context()) {
			break
		}
		synctest.Wait()
		if len(r.m.feeds) != 0 {
			r.Errorf("%d feeds without a reader", len(r.m.feeds))
		}
	})
}

// A second loop over the same changes does not start with those that the first
// one left.
func TestMirrorChangesAgain(t *testing.T) {
	mirror(t, 3, Options{}, func(r *mirrored) {
		change := func(id uint32) {
			r.change(func(k *fakekernel.Kernel) { k.Put(fakekernel.Entry{ID: id, Name: "x"}) })
			r.same()
		}
		changes := r.m.Changes(r.Context())
		change(1)
		for range changes {
			change(2)
			break
		}
		change(3)
		time.AfterFunc(time.Second, func() { change(4) })
		for e, err := range changes {
			if err != nil || e.Entry.ID != 4 {
				r.Errorf("%+v, %v, want a change of 4", e, err)
			}
			break
		}
	})
}

// Follow waits for the first dump, and ends with its context or its mirror.
func TestMirrorFollowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		c := dial(t, k)
		defer c.Close()
		k.Answered = func() { time.Sleep(time.Minute) } // delays the generation, before the dump
		m, err := Open(t.Context(), c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		k.Lock()
		k.Put(fakekernel.Entry{ID: 1, Name: "x"})
		k.Put(fakekernel.Entry{ID: 2, Name: "x"})
		k.Unlock()
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for e, err := range m.Follow(soon) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%+v, %v before the first dump", e, err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		n := 0
		for _, err := range m.Follow(ctx) {
			if n++; n == 1 {
				stop() // among the entries
			} else if !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want Canceled", err)
			}
		}
		for range m.Follow(t.Context()) {
			n++
			break
		}
		if n != 3 {
			t.Errorf("%d iterations, want 3", n)
		}
		time.AfterFunc(time.Second, func() { _ = m.Close() })
		for e, err := range m.Follow(t.Context()) {
			if err != nil && !errors.Is(err, client.ErrClosed) {
				t.Errorf("%+v, %v, want client.ErrClosed", e, err)
			}
		}
	})
}
