// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"github.com/mdlayher/genetlink"

	"bulkdump/client"
	"bulkdump/test/bench/figure"
)

// bench measures all contenders on one table after another.
type bench struct {
	kernel string
	family uint16
	client *client.Client
	tracer *tracer
	self   string // this program
	tell   func(figure.Line) error
	wanted func(contender string) bool
	in     figure.Setting // of this guest
}

func newBench(kernel string) (*bench, error) {
	b := &bench{kernel: kernel}
	var err error
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	conn, err := genetlink.Dial(nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	f, err := conn.GetFamily(client.FamilyName)
	if err != nil {
		return nil, err
	}
	b.family = f.ID
	if b.client, err = client.Dial(client.Config{}); err != nil {
		return nil, err
	}
	b.tracer, err = newTracer()
	return b, err
}

// table measures all contenders on a table of n entries.
func (b *bench) table(ctx context.Context, n uint32) error {
	want, err := refill(ctx, b.client, n)
	if err != nil {
		return err
	}
	if err := settle(); err != nil {
		return err
	}
	bytes := map[string]uint64{}
	for _, c := range contenders(n) {
		if !b.measures(c.name) || c.atMost > 0 && n > c.atMost {
			continue
		}
		f, err := b.measure(ctx, c, n, want)
		if err != nil {
			return err
		}
		if f.Bytes != nil {
			bytes[c.name] = *f.Bytes
		}
		if err := b.tell(figure.Line{Figure: f}); err != nil {
			return err
		}
	}
	// The floor: what it costs to read the bytes of these dumps from a file.
	for _, of := range []string{figure.Ours, "go columns"} {
		c := contender{name: figure.CopyOf + of, file: true}
		if bytes[of] == 0 || !b.measures(c.name) {
			continue
		}
		f, err := b.copyFloor(ctx, c, n, bytes[of])
		if err != nil {
			return err
		}
		if err := b.tell(figure.Line{Figure: f}); err != nil {
			return err
		}
	}
	return nil
}

// measures reports whether a contender is measured in this guest.
func (b *bench) measures(contender string) bool {
	return b.in.Has(contender) && b.wanted(contender+b.in.Name)
}

// runs returns how often a contender runs undisturbed. The least of the runs
// counts, because threads of Go's runtime and of the kernel run now and then.
// In a small table, that shows.
func runs(c contender, n uint32) int {
	if c.square || n > smallTable {
		return 1
	}
	return 5
}

// measure runs a contender undisturbed to count its instructions. Then it runs
// it once more, records each system call, and compares the checksum.
func (b *bench) measure(ctx context.Context, c contender, n uint32, want *expected) (*figure.Figure, error) {
	var best *figure.Figure
	for range runs(c, n) {
		f, err := b.clean(ctx, c, n, want)
		if err != nil {
			return nil, err
		}
		if best == nil || f.Instructions < best.Instructions {
			best = f
		}
	}
	return best, b.split(ctx, best, c, b.args(c, n, true), func(r result) error { return want.compare(c, true, r) })
}

// clean returns the figure of the best undisturbed run.
func (b *bench) clean(ctx context.Context, c contender, n uint32, want *expected) (*figure.Figure, error) {
	before, err := b.client.Table(ctx)
	if err != nil {
		return nil, err
	}
	r, err := b.run(ctx, b.args(c, n, false))
	if err != nil {
		return nil, err
	}
	if err := want.compare(c, false, r); err != nil {
		return nil, err
	}
	after, err := b.client.Table(ctx)
	if err != nil {
		return nil, err
	}
	f := b.figure(c, n, r)
	if c.file {
		return f, nil
	}
	f.Pages = new(after.Pages - before.Pages)
	if sent := after.Records - before.Records; sent != r.Records {
		return nil, fmt.Errorf("%s: the kernel sent %d records, %d came", c.name, sent, r.Records)
	}
	return f, nil
}

// figure makes a figure from the result of an undisturbed run.
func (b *bench) figure(c contender, n uint32, r result) *figure.Figure {
	f := &figure.Figure{
		Kernel: b.kernel, Contender: c.name + b.in.Name, Entries: n, Records: r.Records,
		Instructions: uint64(r.Instructions), Mallocs: r.Mallocs,
	}
	if !c.opaque {
		f.PeakRSS = &r.PeakRSS
	} else {
		f.Mallocs = nil
	}
	return f
}

// split runs the contender again, and adds what only the system calls show.
func (b *bench) split(ctx context.Context, f *figure.Figure, c contender, args []string, check func(result) error) error {
	// The smallest pages have fifty records and take two calls. Go's runtime
	// has calls of its own.
	if err := b.tracer.room(f.Records / 4); err != nil {
		return err
	}
	again, err := b.run(ctx, b.tracer.command(args...))
	if err != nil {
		return err
	}
	if err := check(again); err != nil {
		return err
	}
	calls, err := b.tracer.stop()
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	if !c.opaque && !c.prepares {
		f.System, f.Calls, f.Reads, f.Bytes = &calls.instructions, &calls.n, &calls.reads, &calls.bytes
	}
	return nil
}

// copyFloor reads a file of that size, and counts it as n records.
func (b *bench) copyFloor(ctx context.Context, c contender, n uint32, size uint64) (*figure.Figure, error) {
	const file = "/dev/shm/bench" // a tmpfs
	if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
		return nil, err
	}
	defer os.Remove(file)
	args := []string{"bench-copy", file, fmt.Sprint(n)}
	r, err := b.run(ctx, args)
	if err != nil {
		return nil, err
	}
	f := b.figure(c, n, r)
	if err := b.split(ctx, f, c, args, func(result) error { return nil }); err != nil {
		return nil, err
	}
	if *f.Bytes != size {
		return nil, fmt.Errorf("%s: %d bytes, not %d", c.name, *f.Bytes, size)
	}
	return f, nil
}

// args returns the command line of a contender's process.
func (b *bench) args(c contender, n uint32, check bool) []string {
	if c.program == "" {
		return []string{b.self, "one", "-contender", c.name, "-entries", fmt.Sprint(n),
			"-family", fmt.Sprint(b.family), fmt.Sprintf("-check=%t", check)}
	}
	request, err := c.options.Request()
	if err != nil {
		panic(err) // the options are constants
	}
	flag := "0"
	if check {
		flag = "1"
	}
	return []string{c.program, fmt.Sprint(b.family), hex.EncodeToString(request), flag}
}

// run starts a contender's process and reads the result that it prints.
func (b *bench) run(ctx context.Context, args []string) (result, error) {
	var r result
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("%q: %w", args, err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("%q: %w", args, err)
	}
	return r, nil
}
