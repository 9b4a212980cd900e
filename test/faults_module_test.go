// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

var everyFault = flag.Bool("every-fault", false, "where most allocations are the kernel's, fail each one, not one in ten")

// some is each, but of many places it takes one in ten, unless all are wanted.
func (f *faults) some(fn func(nth int) (reached bool)) (places int) {
	f.t.Helper()
	step := 10
	if *everyFault {
		step = 1
	}
	return step * f.each(func(n int) bool { return fn(1 + (n-1)*step) })
}

// under lets only those allocations fail that a function of the kernel makes, or
// what it calls, until the test ends.
func (f *faults) under(function string) {
	t := f.t
	t.Helper()
	text, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	var start uint64
	var all []uint64
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		address, err := strconv.ParseUint(words[0], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, address)
		if words[2] == function {
			start = address
		}
	}
	slices.Sort(all)
	next := slices.IndexFunc(all, func(a uint64) bool { return a > start })
	if start == 0 || next < 0 {
		t.Fatalf("the kernel has no function %s", function)
	}
	for _, kind := range []string{failSlab, failPages} {
		setFault(t, debugfs+kind+"/require-start", fmt.Sprintf("%#x", start))
		setFault(t, debugfs+kind+"/require-end", fmt.Sprintf("%#x", all[next]))
	}
}

// A judged counts outcomes, and takes only those that a lack of memory may have.
type judged struct {
	t        testing.TB
	outcomes verdicts
}

func (j *judged) judge(nth int, err error) {
	j.t.Helper()
	if err != nil && !errors.Is(err, unix.ENOMEM) && !errors.Is(err, unix.ENOBUFS) {
		j.t.Errorf("fault %d: %v", nth, err)
	}
	j.outcomes.add(err)
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
			f, j := injectFaults(t), judged{t, make(verdicts)}
			said := make(map[string]bool)
			heard := func() bool { return said["no memory for the reply"] }
			places := f.eachUntil(heard, func(nth int) (reached bool) {
				before := state(t, c)
				text, err := askFailing(t, op.request, func(send func()) { reached = f.in(nth, send) })
				said[text] = true
				j.judge(nth, err)
				if after := state(t, c); !reflect.DeepEqual(after, before) {
					t.Errorf("fault %d: from %+v to %+v", nth, before, after)
				}
				return reached
			})
			if places < 2 {
				t.Errorf("only %d allocations were failed", places)
			}
			j.outcomes.report(t, op.name, places)
			if !heard() {
				t.Errorf("nothing said that there was no memory for the reply: %v", said)
			}
			if _, err := c.GetByName(t.Context(), "five"); err != nil {
				t.Error(err)
			}
		})
	}
}

// Allocations of a module's unload fail, and it unloads. Each one of its init fails
// once: the module is there with its family, or it is not.
func TestFaultsInLoad(t *testing.T) {
	needFaults(t)
	setup(t)
	mustUnload(t, "bulkdump")
	t.Cleanup(func() { load(t, "bulkdump", "") })
	for _, tt := range []struct {
		module, family string
		refusals       int // at least; what the core does without does not count
	}{
		{"bulkdump", client.FamilyName, 1}, {minimalModule, minimalFamily, 0}, {nestedModule, nestedFamily, 0},
	} {
		t.Run(tt.module, func(t *testing.T) {
			f := injectFaults(t)
			outcomes := make(verdicts)
			places := f.some(func(nth int) (reached bool) {
				load(t, tt.module, "")
				var err error
				reached = f.in(nth, func() { err = unload(tt.module) })
				if outcomes.add(err); err != nil {
					t.Fatalf("fault %d: the unload ended with %v", nth, err)
				}
				return reached
			})
			outcomes.report(t, "unload "+tt.module, places)

			// The module loader has warnings of its own for a lack of memory.
			f.under("do_one_initcall")
			file, err := os.Open(moduleDir + tt.module + ".ko")
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			j := judged{t, make(verdicts)}
			places = f.each(func(nth int) (reached bool) {
				var err error
				reached = f.in(nth, func() { err = unix.FinitModule(int(file.Fd()), "", 0) })
				j.judge(nth, err)
				_, statErr := os.Stat("/sys/module/" + tt.module)
				if there := statErr == nil; there != (err == nil) {
					t.Fatalf("fault %d: the load ended with %v, but the module is there: %t", nth, err, there)
				}
				if err == nil {
					dumpFamily(t, tt.family, cmdEntryGet)
					mustUnload(t, tt.module)
				}
				return reached
			})
			j.outcomes.report(t, "load "+tt.module, places)
			if n := j.outcomes[unix.ENOMEM.Error()]; places < 2 || n < tt.refusals {
				t.Errorf("%d allocations were failed, want at least %d refusals: %v", places, tt.refusals, j.outcomes)
			}
		})
	}
}

// Allocations fail while a network namespace is made. It is there, with its
// table, or it is not. Most are those of other parts of the kernel, which return
// what they like: so the errno says nothing about this one.
func TestFaultsInNamespace(t *testing.T) {
	needFaults(t)
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: 1})
	f, outcomes := injectFaults(t), make(verdicts)
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	unshare := func(outcomes verdicts) func(nth int) (reached bool) {
		return func(nth int) (reached bool) {
			var err error
			reached = f.in(nth, func() { err = unix.Unshare(unix.CLONE_NEWNET) })
			outcomes.add(err)
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
		}
	}
	places := f.some(unshare(outcomes))
	if places < 50 || outcomes[unix.ENOMEM.Error()] == 0 {
		t.Errorf("%d allocations were failed: %v", places, outcomes)
	}
	outcomes.report(t, "new namespace", places)
	// Those for the file in /proc, which are the module's own.
	own := make(verdicts)
	f.under("bulkdump_proc_create")
	places = f.each(unshare(own))
	if own[unix.ENOMEM.Error()] == 0 || places+1 != own[unix.ENOMEM.Error()]+own["done"] {
		t.Errorf("%d allocations for /proc were failed: %v", places, own)
	}
	own.report(t, "new namespace, /proc", places)
	if s := state(t, c); s.Count != 1 {
		t.Errorf("%d entries here, want 1", s.Count)
	}
}

// Each allocation of a change of the templates fails once. Part of the change may
// stay; the same change succeeds afterwards, and then the table is what it must be.
func TestFaultsInTemplates(t *testing.T) {
	needFaults(t)
	for _, tt := range []struct{ module, params, parameter, before, after string }{
		{minimalModule, "entries=3", "entries", "3", "6"},
		{minimalModule, "entries=3", "entry", "2", "2 7"},
		{minimalModule, "entries=3", "entry", "2 1", "2 7"},
		{nestedModule, "", "parent", "1 1 3", "1 1 9"},
		{nestedModule, "", "parent", "1", "1 1 9"},
	} {
		t.Run(fmt.Sprintf("%s %s, from %q to %q", tt.module, tt.parameter, tt.before, tt.after), func(t *testing.T) {
			loadCopied(t, tt.module, tt.params)
			f, j := injectFaults(t), judged{t, make(verdicts)}
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
			whole := ""
			places := f.each(func(nth int) (reached bool) {
				if err := errors.Join(write(tt.after), write(tt.before)); err != nil {
					t.Fatal(err)
				}
				var err error
				reached = f.in(nth, func() { err = write(tt.after) })
				j.judge(nth, err)
				if err != nil {
					if err := write(tt.after); err != nil {
						t.Errorf("fault %d: once more: %v", nth, err)
					}
				}
				if got := records(); whole == "" {
					whole = got
				} else if got != whole {
					t.Errorf("fault %d: %s, want %s", nth, got, whole)
				}
				return reached
			})
			j.outcomes.report(t, t.Name(), places)
			if places < 1 || j.outcomes[unix.ENOMEM.Error()] == 0 {
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
