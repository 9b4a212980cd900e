// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"bulkdump/client"
)

// available returns the memory that the guest could still use, in KiB. It has
// no disk, and so no cache that comes and goes.
func available(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	var kib int
	_, rest, _ := bytes.Cut(text, []byte("MemAvailable:"))
	if _, err := fmt.Sscan(string(rest), &kib); err != nil {
		t.Fatalf("/proc/meminfo: %v", err)
	}
	return kib
}

// What the table holds it gives back, by whichever way the entries go. A leak
// of any of it would be several times what is let pass.
func TestMemoryComesBack(t *testing.T) {
	const (
		slack  = 16 << 10 // KiB
		rounds = 16
	)
	some := client.FillOptions{Count: 1000, PayloadMin: 4000} // 4 MB
	for _, tt := range []struct {
		name  string
		round func(t *testing.T, c *client.Client)
	}{
		{"flush", func(t *testing.T, c *client.Client) {
			fill(t, c, some)
			flush(t, c)
		}},
		{"delete", func(t *testing.T, c *client.Client) {
			fill(t, c, some)
			for id := range some.Count {
				if _, err := c.Delete(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"set", func(t *testing.T, c *client.Client) {
			makeEntry(t, c, client.Entry{ID: 1, Payload: make([]byte, payloadMax)})
			for value := range uint64(50) {
				if _, err := c.Set(t.Context(), client.Change{ID: 1, Value: &value}); err != nil {
					t.Fatal(err)
				}
			}
			flush(t, c)
		}},
		{"refused fill", func(t *testing.T, c *client.Client) {
			makeEntry(t, c, client.Entry{ID: some.Count - 1})
			if _, err := c.Fill(t.Context(), some); err == nil {
				t.Fatal("it was not refused")
			}
			flush(t, c)
		}},
		{"namespace", func(t *testing.T, _ *client.Client) {
			ns := newNetNS(t)
			c, err := client.Dial(client.Config{NetNS: int(ns.Fd())})
			if err != nil {
				t.Fatal(err)
			}
			fill(t, c, client.FillOptions{Count: 1}) // its buckets are 512 KiB
			_ = c.Close()
			_ = ns.Close()
		}},
		{"module", func(t *testing.T, c *client.Client) {
			fill(t, c, some)
			mustUnload(t, "bulkdump")
			load(t, "bulkdump", "")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := setup(t)
			tt.round(t, c) // what is allocated once
			n := rounds
			if tt.name == "namespace" {
				n *= 4
			}
			var before int
			waitFor(t, "the first round's memory is freed", func() bool {
				last := before
				before = available(t)
				return before <= last
			})
			for range n {
				tt.round(t, c)
			}
			var lost int
			defer func() { t.Logf("%d KiB less after %d rounds", lost, n) }()
			waitFor(t, "the memory comes back", func() bool {
				lost = before - available(t)
				return lost < slack
			})
		})
	}
}
