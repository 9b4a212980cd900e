// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
	"bulkdump/cmd/bulkdump/internal/output"
)

// everyCommand has one command line for each.
var everyCommand = [][]string{
	{"fill", "5"}, {"dump"}, {"get", "7"}, {"get", "--name", "seven"}, {"new", "7", "seven"},
	{"set", "7", "--value", "1"}, {"del", "7"}, {"flush"}, {"table"},
}

func kernelError(errno unix.Errno, message string) error {
	return &client.Error{Op: "entry-x", Attr: "id", KernelError: nldump.KernelError{Errno: errno, Message: message}}
}

func TestFailuresOfTheKernel(t *testing.T) {
	for _, args := range everyCommand {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			f := &fakeTable{err: kernelError(unix.EPERM, "admin only")}
			prefix := "bulkdump: "
			if args[0] == "del" {
				prefix = "bulkdump: id 7: "
			}
			run(t, f, args...).check(t, ran{"", prefix + "entry-x: operation not permitted: admin only (attribute id)\n" +
				"bulkdump: this needs CAP_NET_ADMIN in the initial user namespace, or, with the module's userns_admin=1, in the " +
				"one that owns the network namespace\n", 1})
			if got := f.asked[len(f.asked)-1]; got != "close" {
				t.Errorf("the last thing asked: got %q, want close", got)
			}

			f.err = kernelError(unix.EPERM, "a change needs CAP_NET_ADMIN")
			if got := run(t, f, args...); got.code != 1 || strings.Count(got.stderr, "CAP_NET_ADMIN") != 1 {
				t.Errorf("%+v", got)
			}

			f.err = client.ErrNoFamily
			run(t, f, args...).check(t, ran{"", noFamily, 1})
		})
	}
}

const noFamily = "bulkdump: module not loaded: run modprobe bulkdump, or make load where it was built (the kernel has no generic netlink family \"bulkdump\")\n"

func TestDialFails(t *testing.T) {
	for _, args := range everyCommand {
		for err, want := range map[error]string{
			client.ErrNoFamily:              noFamily,
			errors.New("no socket for you"): "bulkdump: no socket for you\n",
		} {
			a, stdout, stderr := newApp(nil)
			a.dial = func() (table, error) { return nil, err }
			runApp(t.Context(), t, a, stdout, stderr, args...).check(t, ran{"", want, 1})
		}
	}
}

// A reader that closes the pipe has seen enough.
func TestClosedPipe(t *testing.T) {
	for _, args := range everyCommand {
		for _, format := range output.Formats {
			f := &fakeTable{entry: seven, records: []client.Entry{seven}}
			runTo(t, f, closedPipe(t), append(args, "-o", format)...).check(t, ran{})
		}
	}
	f, _ := three()
	read := 0
	f.records = slices.Repeat(f.records, 10_000)
	f.each = func(int) { read++ }
	runTo(t, f, closedPipe(t), "dump").check(t, ran{})
	if read == len(f.records) {
		t.Errorf("all %d records were read for nobody", read)
	}
}

// A closed pipe does not hide another failure.
func TestClosedPipeHidesNothing(t *testing.T) {
	f, sum := three()
	f.err = client.ErrInterrupted
	runTo(t, f, closedPipe(t), "dump").check(t, ran{"", changedWarning, 1})
	f.err = client.ErrTruncated
	runTo(t, f, closedPipe(t), "dump").check(t, ran{"", "page truncated", 1})

	f.err = nil
	runTo(t, f, closedPipe(t), "dump", "--verify", sum).check(t, ran{"", "as expected", 0})
	runTo(t, f, closedPipe(t), "dump", "--verify", "1").check(t, ran{"", "want 0x0000000000000001", 1})
	f.records = slices.Repeat(f.records, 10_000)
	runTo(t, f, closedPipe(t), "dump", "--verify", "1").check(t,
		ran{"", "bulkdump: not verified: the output was closed before its end\n", 1})

	f = &fakeTable{errs: map[uint32]error{8: os.ErrNotExist}}
	runTo(t, f, closedPipe(t), "del", "7", "8").check(t, ran{"", "bulkdump: id 8: file does not exist\n", 1})
	f = &fakeTable{errs: map[uint32]error{8: os.ErrPermission}}
	runTo(t, f, closedPipe(t), "del", "7", "8").check(t, ran{"", "bulkdump: id 8: permission denied\n", 1})
}

func TestFullDisk(t *testing.T) {
	const full = "write /dev/full: no space left on device\n"
	for _, args := range everyCommand {
		for _, format := range output.Formats {
			f := &fakeTable{entry: seven, records: []client.Entry{seven}}
			runTo(t, f, fullDisk(t), append(args, "-o", format)...).check(t, ran{"", full, 1})
		}
	}
	f, sum := three()
	runTo(t, f, fullDisk(t), "dump", "--verify", sum).check(t, ran{"", "bulkdump: " + full, 1})
	f.err = client.ErrInterrupted
	runTo(t, f, fullDisk(t), "dump", "--allow-interrupted").check(t, ran{"", changedWarning + "bulkdump: " + full, 1})
	f.records = slices.Repeat(f.records, 10_000)
	runTo(t, f, fullDisk(t), "dump").check(t, ran{"", "bulkdump: " + full, 1})

	f = &fakeTable{errs: map[uint32]error{8: os.ErrNotExist}}
	runTo(t, f, fullDisk(t), "del", "7", "8").check(t, ran{"", "bulkdump: id 8: file does not exist\nbulkdump: " + full, 1})
}

// A missing entry does not stop the deletion of the others.
func TestDelGoesOn(t *testing.T) {
	f := &fakeTable{errs: map[uint32]error{0: kernelError(unix.ENOENT, "there is no entry with the id")}}
	args := []string{"del", "7", "0", "0xffffffff"}
	const missing = "bulkdump: id 0: entry-x: no such file or directory: there is no entry with the id (attribute id)\n"
	for format, want := range map[string]string{
		"table": "        ID            GENERATION\n         7                  2007\n4294967295            4294969295\n",
		"json":  "[\n{\"id\":7,\"generation\":2007},\n{\"id\":4294967295,\"generation\":4294969295}\n]\n",
		"jsonl": "{\"id\":7,\"generation\":2007}\n{\"id\":4294967295,\"generation\":4294969295}\n",
		"csv":   "id,generation\n7,2007\n4294967295,4294969295\n",
	} {
		f.asked = nil
		got := run(t, f, append(args, "-o", format)...)
		got.check(t, ran{want, missing, 1})
		if got.stderr != missing {
			t.Errorf("stderr: got %q, want %q", got.stderr, missing)
		}
		if want := []string{"del 7", "del 0", "del 4294967295", "close"}; !slices.Equal(f.asked, want) {
			t.Errorf("asked: got %q, want %q", f.asked, want)
		}
	}
	f.errs = map[uint32]error{7: os.ErrNotExist}
	run(t, f, "del", "7", "-o", "json").check(t, ran{"[\n]\n", "bulkdump: id 7: file does not exist\n", 1})
}

// Any other failure ends the command: the rest would fail, too.
func TestDelStops(t *testing.T) {
	for err, want := range map[error]string{
		kernelError(unix.EPERM, ""): "bulkdump: id 8: entry-x: operation not permitted (attribute id)\n",
		client.ErrNoFamily:          noFamily,
	} {
		f := &fakeTable{errs: map[uint32]error{8: err}}
		run(t, f, "del", "7", "8", "9", "-o", "json").check(t, ran{"[\n{\"id\":7,\"generation\":2007}", want, 1})
		if want := []string{"del 7", "del 8", "close"}; !slices.Equal(f.asked, want) {
			t.Errorf("asked: got %q, want %q", f.asked, want)
		}
	}
	ctx, signal := interruptible(t)
	signal(unix.SIGTERM)
	a, stdout, stderr := newApp(&fakeTable{})
	runApp(ctx, t, a, stdout, stderr, "del", "7", "8").check(t, ran{"", "bulkdump: ended by SIGTERM before it was done\n", 143})
}
