// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// kernelMemory returns the kernel's own memory in KiB, without that of
// processes, which varies.
func kernelMemory(t testing.TB) int {
	t.Helper()
	rcuBarrier(t)
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, name := range []string{"Slab:", "VmallocUsed:", "Percpu:"} {
		var kib int
		_, rest, _ := bytes.Cut(text, []byte("\n"+name))
		if _, err := fmt.Sscan(string(rest), &kib); err != nil {
			t.Fatalf("/proc/meminfo has no %s %v", name, err)
		}
		sum += kib
	}
	return sum
}

// The table frees all its memory, no matter how its entries are removed. Any
// leak would be at least twice the tolerance.
func TestMemoryComesBack(t *testing.T) {
	const (
		slack  = 4 << 10 // KiB
		rounds = 4
	)
	some := client.FillOptions{Count: 100, PayloadMin: 40_000} // at least 4 MB
	for _, tt := range []struct {
		name  string
		round func(t *testing.T, c *client.Client)
	}{
		{"namespace", func(t *testing.T, _ *client.Client) {
			for range 4 {
				ns := newNetNS(t)
				c, err := client.Dial(client.Config{NetNS: int(ns.Fd())})
				if err != nil {
					t.Fatal(err)
				}
				fill(t, c, client.FillOptions{Count: 1}) // its buckets are 512 KiB
				_ = c.Close()
				_ = ns.Close()
			}
		}},
		{"module", func(t *testing.T, c *client.Client) {
			fill(t, c, some)
			mustUnload(t, "bulkdump")
			load(t, "bulkdump", "")
		}},
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
		{"lookups, dumps and refusals", func(t *testing.T, c *client.Client) {
			makeEntry(t, c, client.Entry{ID: 1})
			for _, body := range [][]byte{request(cmdEntryGet, attrU32(attrID, 1)), request(cmdEntryGet, attrU32(attrID, 1), attrU32(attrFields, 1))} {
				s := openRaw(t, client.FamilyName, smallBuffer)
				var batch []byte
				for range 100 {
					batch = append(batch, s.message(unix.NLM_F_REQUEST, body)...)
				}
				for range 400 { // 32 bytes for each request
					if err := unix.Sendto(s.fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
						t.Fatal(err)
					}
				}
				s.close() // nobody reads the answers
			}
			s := openRaw(t, client.FamilyName, smallBuffer)
			for range 12_000 { // 128 bytes each
				s.send(cmdEntryGet, flagDump)
				s.read()
			}
			s.close()
			flush(t, c)
		}},
		{"parameters of minimal", func(t *testing.T, _ *client.Client) {
			writeUntilGone(t, "bulkdump_minimal", map[string]string{"entries": "200000", "entry": "7 1"}) // 3 MB
		}},
		{"parameter of nested", func(t *testing.T, _ *client.Client) {
			writeUntilGone(t, "bulkdump_nested", map[string]string{"parent": "7 0 200000"})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := setup(t)
			tt.round(t, c) // some memory is allocated only once
			before := memoryAtRest(t)
			for range rounds {
				tt.round(t, c)
			}
			wantMemory(t, before, slack)
		})
	}
}

// memoryAtRest returns the kernel's memory when frees no longer change it. Some wait
// for RCU.
func memoryAtRest(t testing.TB) (now int) {
	t.Helper()
	waitFor(t, "the memory is at rest", func() bool {
		last := now
		now = kernelMemory(t)
		return now == last
	})
	return now
}

// wantMemory waits until the kernel's memory is less than slack KiB more than before, or
// than 32 pages: it is counted by pages, and others use some.
func wantMemory(t testing.TB, before, slack int) {
	t.Helper()
	slack = max(slack, 32*os.Getpagesize()>>10)
	more := 0
	if !within(func() bool {
		more = kernelMemory(t) - before
		return more < slack
	}) {
		t.Errorf("%d KiB more than before, want less than %d", more, slack)
	}
	t.Logf("%d KiB more than before", more)
}

// writeUntilGone loads a module, and unloads it while its parameters are written,
// until they are gone.
func writeUntilGone(t *testing.T, module string, written map[string]string) {
	t.Helper()
	load(t, module, "")
	gone := make(chan error, len(written))
	for name, text := range written {
		parameter, err := os.OpenFile("/sys/module/"+module+"/parameters/"+name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer parameter.Close()
		go func() {
			var err error
			for err == nil {
				_, err = parameter.WriteAt([]byte(text), 0)
			}
			gone <- err
		}()
	}
	mustUnload(t, module)
	for range written {
		if err := <-gone; !errors.Is(err, unix.ENODEV) {
			t.Errorf("write: %v, want ENODEV", err)
		}
	}
}
