// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

// A loop over all sees one moment, whatever is applied meanwhile.
func TestMirrorAllWhileItChanges(t *testing.T) {
	mirror(t, 300, MirrorOptions{}, func(r *mirrored) {
		n := uint32(0)
		for e := range r.m.All() {
			if e.ID != n || e.Name != "before" {
				r.Fatalf("%+v, want id %d", e, n)
			}
			n++
			r.change(func(k *tableKernel) { k.del(300 - n); k.put(Entry{ID: 1000 + n, Name: "after"}) })
			r.same()
		}
		if n != 300 {
			r.Errorf("%d entries, want 300", n)
		}
	})
}

func TestMirrorChanges(t *testing.T) {
	mirror(t, 4, MirrorOptions{ChangesLimit: 3}, func(r *mirrored) {
		changes := r.m.Changes(r.Context())
		unread := r.m.Changes(r.Context())
		_ = unread
		r.change(func(k *tableKernel) { k.put(Entry{ID: 1, Name: "set"}); k.del(2); k.put(Entry{ID: 9, Name: "new"}) })
		r.same()
		var got []string
		for e, err := range changes {
			if err != nil {
				got = append(got, err.Error())
				break
			}
			got = append(got, e.Kind.String()+string(rune('0'+e.Entry.ID)))
			if len(got) == 3 { // more than it may keep
				r.change(func(k *tableKernel) {
					for id := range uint32(4) {
						k.put(Entry{ID: id, Name: "x"})
					}
				})
				r.same()
			}
		}
		want := []string{"set1", "del2", "new9", ErrLagged.Error()}
		if !reflect.DeepEqual(got, want) {
			r.Errorf("got %q, want %q", got, want)
		}
		// Again, from now on.
		r.change(func(k *tableKernel) { k.put(Entry{ID: 0, Name: "nobody listens"}) })
		r.same()
		time.AfterFunc(time.Second, func() {
			r.change(func(k *tableKernel) { k.change(EventFlush, Entry{}) })
		})
		for e, err := range changes {
			if err != nil || e.Kind != EventFlush || e.Count != 5 {
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
			if !errors.Is(err, ErrClosed) {
				r.Errorf("%+v, %v, want ErrClosed", e, err)
			}
		}
		for f := range r.m.feeds {
			if len(f.queue) > 3 || !f.lagged {
				r.Errorf("%d changes wait, and nobody reads them", len(f.queue))
			}
		}
	})
}

// A context ends a loop that always has something to do, and frees what nobody
// reads.
func TestMirrorChangesEndWithTheContext(t *testing.T) {
	mirror(t, 1, MirrorOptions{}, func(r *mirrored) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		changes := r.m.Changes(ctx)
		_ = r.m.Changes(ctx)
		put := func() {
			r.change(func(k *tableKernel) { k.put(Entry{ID: 0, Name: "x"}) })
			synctest.Wait()
		}
		put()
		n := 0
		for _, err := range changes {
			cancel()
			put()
			if n++; n > 3 {
				r.Fatalf("it goes on: %v", err)
			}
		}
		synctest.Wait()
		if len(r.m.feeds) != 0 {
			r.Errorf("%d are left", len(r.m.feeds))
		}
	})
}
