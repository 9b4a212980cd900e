// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"reflect"
	"testing"

	"bulkdump/client"
	"bulkdump/client/mirror"
	"bulkdump/test/recipes"
)

// The recipes of client/README.md work as described.
func TestRecipes(t *testing.T) {
	c := setup(t)
	ctx := t.Context()
	filled := fill(t, c, client.FillOptions{Count: 3000, Seed: 1, PayloadMax: 30})
	all := collect(t, c, client.DumpOptions{})

	t.Run("Each", func(t *testing.T) {
		var got []client.Entry
		if err := recipes.Each(ctx, func(e client.Entry) { got = append(got, e) }); err != nil || !reflect.DeepEqual(got, all) {
			t.Errorf("%d entries of %d, %v", len(got), len(all), err)
		}
	})
	t.Run("SumOfValues", func(t *testing.T) {
		want := uint64(0)
		for _, e := range all {
			want += e.Value
		}
		if got, err := recipes.SumOfValues(ctx, c); err != nil || got != want {
			t.Errorf("%d, %v, want %d", got, err, want)
		}
	})
	t.Run("FirstNamed", func(t *testing.T) {
		got, err := recipes.FirstNamed(ctx, c, "entry-2", 3)
		if err != nil || len(got) != 3 || got[0].ID != 2 || got[1].ID != 20 || got[2].ID != 21 {
			t.Errorf("%+v, %v", got, err)
		}
		if s := checkCounters(t, c); s.DumpsAbandoned == 0 {
			t.Error("no dump was abandoned")
		}
	})
	t.Run("ExactTable", func(t *testing.T) {
		got, generation, err := recipes.ExactTable(ctx, c)
		if err != nil || generation != filled.Generation || !reflect.DeepEqual(got, all) {
			t.Errorf("%d entries of %d in generation %d, %v", len(got), len(all), generation, err)
		}
	})
	t.Run("Update", func(t *testing.T) { updateRecipe(t, c) })
	t.Run("Checksum", func(t *testing.T) {
		want := client.Checksum(0)
		for _, e := range collect(t, c, client.DumpOptions{}) {
			want.AddEntry(&e)
		}
		if got, err := recipes.Checksum(ctx, c); err != nil || got != want {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	})
	t.Run("LogChanges", func(t *testing.T) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		// It prints nothing until there is a change, so make changes until it
		// does.
		lines := make(chan string, 1)
		ended := make(chan error)
		go func() {
			ended <- recipes.LogChanges(ctx, c, func(words ...any) {
				select {
				case lines <- fmt.Sprint(words...):
				default:
				}
			})
		}()
		waitFor(t, "a change was logged", func() bool {
			if _, err := c.Set(ctx, client.Change{ID: 7, Value: ptr(uint64(1))}); err != nil {
				t.Fatal(err)
			}
			return len(lines) > 0
		})
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("Replica", func(t *testing.T) { replicaRecipe(t, c) })
	t.Run("TableOf", func(t *testing.T) {
		if got, err := recipes.TableOf(ctx, "/proc/self/ns/net"); err != nil || got.Count != state(t, c).Count {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := recipes.TableOf(ctx, "/nosuch"); err == nil {
			t.Error("there is no error without the namespace")
		}
	})
	t.Run("LinkNames", func(t *testing.T) {
		want := make(map[uint32]string)
		links, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range links {
			want[uint32(l.Index)] = l.Name
		}
		if got, err := recipes.LinkNames(ctx); err != nil || !maps.Equal(got, want) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	})
}

// A copy is updated with the changes, and rebuilt after a flush.
func updateRecipe(t *testing.T, c *client.Client) {
	held := make(map[uint32]uint64)
	check := func(since *uint64) uint64 {
		t.Helper()
		generation, err := recipes.Update(t.Context(), c, held, since)
		want := make(map[uint32]uint64)
		for _, e := range collect(t, c, client.DumpOptions{}) {
			want[e.ID] = e.Value
		}
		if err != nil || generation != state(t, c).Generation || !maps.Equal(held, want) {
			t.Errorf("%d values of %d, generation %d, %v", len(held), len(want), generation, err)
		}
		return generation
	}
	generation := check(nil)
	if _, err := c.Delete(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Set(t.Context(), client.Change{ID: 6, Value: ptr(uint64(99))}); err != nil {
		t.Fatal(err)
	}
	before := state(t, c).Records
	generation = check(&generation)
	if sent := state(t, c).Records - before; sent != 2+uint64(len(held)) { // 2, and the whole table for the comparison
		t.Errorf("%d records were sent", sent)
	}
	flush(t, c)
	makeEntry(t, c, client.Entry{ID: 7})
	check(&generation)
}

// Your own change is in the replica when the replica reaches its generation.
func replicaRecipe(t *testing.T, c *client.Client) {
	err := recipes.Replica(t.Context(), c, func(m *mirror.Mirror) {
		if _, ok := m.Get(7); !ok || m.Len() != 1 {
			t.Errorf("%d entries, entry 7: %v", m.Len(), ok)
		}
		generation, err := c.Delete(t.Context(), 7)
		if err == nil {
			err = m.Wait(t.Context(), generation)
		}
		if _, ok := m.Get(7); err != nil || ok {
			t.Errorf("%v, entry 7 is there still: %v", err, ok)
		}
	})
	if err != nil {
		t.Error(err)
	}
}
