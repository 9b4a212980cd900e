// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

var everyFault = flag.Bool("every-fault", false, "in the tests of load and of namespaces, where most allocations are the kernel's, fail each one, not one in ten")

// some is each, but of many places it takes one in ten, unless all are wanted.
func (f *faults) some(fn func(nth int) (reached bool)) (places int) {
	f.t.Helper()
	step := 10
	if *everyFault {
		step = 1
	}
	return step * f.each(func(n int) bool { return fn(1 + (n-1)*step) })
}

// A judged counts outcomes, and takes only those that a lack of memory may have.
type judged struct {
	t        testing.TB
	outcomes map[string]int
}

func (j *judged) judge(nth int, err error) {
	j.t.Helper()
	if err != nil && !errors.Is(err, unix.ENOMEM) && !errors.Is(err, unix.ENOBUFS) {
		j.t.Errorf("fault %d: %v", nth, err)
	}
	if j.outcomes == nil {
		j.outcomes = make(map[string]int)
	}
	j.outcomes[fmt.Sprint(err)]++
}

// Each allocation of a lookup fails once. The table is as it was, and the same
// request succeeds afterwards.
func TestFaultsInLookups(t *testing.T) {
	needFaults(t)
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: 5, Name: "five", Payload: make([]byte, 5000)})
	for _, op := range []struct {
		name    string
		request []byte
	}{
		{"get by id", request(cmdEntryGet, attrU32(attrID, 5))},
		{"get by name", request(cmdEntryGet, attrText(attrName, "five"))},
		{"table-get", request(cmdTableGet)},
	} {
		t.Run(op.name, func(t *testing.T) {
			f, j := injectFaults(t), judged{t: t}
			places := f.each(func(nth int) bool {
				before := state(t, c)
				s := openRaw(t, client.FamilyName, 64<<10)
				defer s.close()
				message := s.message(unix.NLM_F_REQUEST|unix.NLM_F_ACK, op.request)
				var sent error
				reached := f.in(nth, func() {
					sent = unix.Sendto(s.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
				})
				_, err := s.outcome(sent)
				j.judge(nth, err)
				if after := state(t, c); !reflect.DeepEqual(after, before) {
					t.Errorf("fault %d: from %+v to %+v", nth, before, after)
				}
				return reached
			})
			if places < 2 {
				t.Errorf("only %d allocations were failed", places)
			}
			t.Logf("%d places: %v", places, j.outcomes)
			if _, err := c.GetByName(t.Context(), "five"); err != nil {
				t.Error(err)
			}
		})
	}
}

// Allocations fail while a module is loaded, and while it is unloaded. It is
// loaded, and works, or nothing of it is left.
func TestFaultsInLoad(t *testing.T) {
	needFaults(t)
	setup(t)
	mustUnload(t, "bulkdump")
	t.Cleanup(func() { load(t, "bulkdump", "") })
	for _, name := range []string{"bulkdump", "bulkdump_minimal", "bulkdump_nested"} {
		for _, loads := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", load ", loads), func(t *testing.T) {
				f, j := injectFaults(t), judged{t: t}
				places := f.some(func(nth int) (reached bool) {
					file, err := os.Open(moduleDir + name + ".ko")
					if err != nil {
						t.Fatal(err)
					}
					defer file.Close()
					do := func(faulty bool, call func() error) (err error) {
						if !faulty {
							return call()
						}
						reached = f.in(nth, func() { err = call() })
						j.judge(nth, err)
						return err
					}
					err = do(loads, func() error { return unix.FinitModule(int(file.Fd()), "", 0) })
					if _, missing := os.Stat("/sys/module/" + name + "/sections"); err != nil && missing == nil {
						t.Fatalf("fault %d: it is there, although: %v", nth, err)
					}
					if err != nil {
						return reached
					}
					if name == "bulkdump" {
						c := dial(t)
						fill(t, c, client.FillOptions{Count: 10})
						if d := mustDump(t, c, client.DumpOptions{}); d.count != 10 {
							t.Errorf("fault %d: %d records, want 10", nth, d.count)
						}
						_ = c.Close()
					}
					if err := do(!loads, func() error { return unload(name) }); err != nil {
						mustUnload(t, name)
					}
					return reached
				})
				if least := map[bool]int{true: 50}[loads]; places < least {
					t.Errorf("only %d allocations were failed", places)
				}
				t.Logf("%d places: %v", places, j.outcomes)
			})
		}
	}
}

// Allocations fail while a network namespace is made. It is there, with its
// table, or it is not.
func TestFaultsInNamespace(t *testing.T) {
	needFaults(t)
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: 1})
	f, j := injectFaults(t), judged{t: t}
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	places := f.some(func(nth int) (reached bool) {
		var err error
		reached = f.in(nth, func() { err = unix.Unshare(unix.CLONE_NEWNET) })
		j.judge(nth, err)
		if err != nil {
			return reached
		}
		there := dial(t)
		fill(t, there, client.FillOptions{Count: 10})
		if d := mustDump(t, there, client.DumpOptions{}); d.count != 10 {
			t.Errorf("fault %d: %d records, want 10", nth, d.count)
		}
		_ = there.Close()
		if err := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Fatal(err)
		}
		return reached
	})
	if places < 50 || j.outcomes["cannot allocate memory"] == 0 {
		t.Errorf("%d allocations were failed: %v", places, j.outcomes)
	}
	t.Logf("%d places: %v", places, j.outcomes)
	if s := state(t, c); s.Count != 1 {
		t.Errorf("%d entries here, want 1", s.Count)
	}
}

// Each allocation of a change of the templates fails once. The table is what it
// was, or what was written.
func TestFaultsInTemplates(t *testing.T) {
	needFaults(t)
	for _, tt := range []struct{ module, params, parameter, before, after string }{
		{minimalModule, "entries=3", "entries", "3", "6"},
		{minimalModule, "entries=3", "entry", "2 1", "2 7"},
		{nestedModule, "", "parent", "1 1 3", "1 1 9"},
	} {
		t.Run(tt.module+" "+tt.parameter, func(t *testing.T) {
			loadCopied(t, tt.module, tt.params)
			f, j := injectFaults(t), judged{t: t}
			parameter, err := os.OpenFile("/sys/module/"+tt.module+"/parameters/"+tt.parameter, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer parameter.Close()
			records := func() string {
				if tt.module == nestedModule {
					return fmt.Sprint(dumpFamily(t, nestedFamily, nestedCmdGet))
				}
				return fmt.Sprint(dumpFamily(t, minimalFamily, minimalCmdGet))
			}
			write := func(text string) error {
				_, err := unix.Pwrite(int(parameter.Fd()), []byte(text), 0)
				return err
			}
			places := f.each(func(nth int) (reached bool) {
				if err := write(tt.before); err != nil {
					t.Fatal(err)
				}
				before := records()
				reached = f.in(nth, func() { err = write(tt.after) })
				j.judge(nth, err)
				if same := records() == before; err != nil && !same || err == nil && same {
					t.Errorf("fault %d: %v, and changed is %v", nth, err, !same)
				}
				return reached
			})
			t.Logf("%d places: %v", places, j.outcomes)
			if places < 1 || j.outcomes["cannot allocate memory"] == 0 {
				t.Errorf("%d allocations were failed: %v", places, j.outcomes)
			}
		})
	}
}

// dumpFamily returns the bodies of a dump's records.
func dumpFamily(t testing.TB, family string, cmd uint8) (bodies []string) {
	t.Helper()
	s := openRaw(t, family, 64<<10)
	defer s.close()
	s.send(cmd, flagDump)
	pages, _ := s.readDump()
	for _, page := range pages {
		for _, m := range page {
			if m.Type != unix.NLMSG_DONE {
				bodies = append(bodies, fmt.Sprintf("%x", m.Data))
			}
		}
	}
	return bodies
}
