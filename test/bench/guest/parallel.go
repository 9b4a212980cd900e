// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"time"

	"bulkdump/client"
	"bulkdump/test/bench/figure"
)

// A race is one reader against two that share the table between them.
type race struct {
	name string
	one  contender
	two  []contender
}

// races are those on a table of n entries: our client's parallel dump, in order
// and without; and two processes in C, which have nothing to do with each other.
func races(n uint32) []race {
	var all []race
	for _, encoding := range []client.Encoding{client.EncodingPlain, client.EncodingDirect, client.EncodingColumns} {
		o := plain(client.DumpOptions{Encoding: encoding})
		goOne := contender{name: fmt.Sprintf("go %v", encoding), read: readLent, options: o}
		goTwo := contender{name: goOne.name + ", 2 sockets", read: readParallel(false), options: o}
		unordered := contender{name: goTwo.name + ", unordered", read: readParallel(true), options: o}
		cOne := contender{name: fmt.Sprintf("c %v", encoding), program: "bench-raw", options: o}
		cTwo := []contender{cOne, cOne}
		below, from := n/2-1, n/2
		cTwo[0].options.IDTo, cTwo[1].options.IDFrom = &below, &from
		all = append(all,
			race{goTwo.name, goOne, []contender{goTwo}},
			race{unordered.name, goOne, []contender{unordered}},
			race{cOne.name + ", 2 processes", cOne, cTwo})
	}
	return all
}

func readParallel(unordered bool) func(ctx context.Context, j *job, s *sink) error {
	return func(ctx context.Context, j *job, s *sink) error {
		for r, err := range ours.DumpParallel(ctx, 2, client.ParallelOptions{Dump: j.options, Unordered: unordered}) {
			if err != nil {
				return err
			}
			s.add(r)
		}
		return nil
	}
}

// laps is how often each side runs, in turn; the fastest of its runs counts, as
// the machine is slower at one time than at another.
const laps = 7

// parallel tells of all races on a table of n entries.
func (b *bench) parallel(ctx context.Context, n uint32) error {
	want, err := refill(ctx, b.client, n)
	if err != nil {
		return err
	}
	for _, r := range races(n) {
		if !b.wanted(r.name) {
			continue
		}
		var one, two time.Duration
		for range laps {
			lap, err := b.lap(ctx, n, want, r.one)
			if err != nil {
				return err
			}
			one = fastest(one, lap)
			if lap, err = b.lap(ctx, n, want, r.two...); err != nil {
				return err
			}
			two = fastest(two, lap)
		}
		s := figure.Speedup{Kernel: b.kernel, Reader: r.name, Entries: n, Times: one.Seconds() / two.Seconds()}
		if err := b.tell(figure.Line{Speedup: &s}); err != nil {
			return err
		}
	}
	return nil
}

// fastest is the less of what was measured so far, zero if nothing was, and a lap.
func fastest(soFar, lap time.Duration) time.Duration {
	if soFar == 0 {
		return lap
	}
	return min(soFar, lap)
}

// lap starts all contenders at once, which together read the whole table, and
// tells how long that took.
func (b *bench) lap(ctx context.Context, n uint32, want *expected, all ...contender) (time.Duration, error) {
	start := time.Now()
	var outs []func() ([]byte, error)
	for _, c := range all {
		outs = append(outs, b.start(ctx, b.args(c, n, false)))
	}
	var sum result
	for i, out := range outs {
		text, err := out()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", all[i].name, err)
		}
		var r result
		if err := json.Unmarshal(text, &r); err != nil {
			return 0, fmt.Errorf("%s: %w", all[i].name, err)
		}
		sum.Records, sum.Sum = sum.Records+r.Records, sum.Sum+r.Sum
	}
	took := time.Since(start)
	return took, want.compare(all[0], false, sum)
}

// start starts a process, and returns what waits for its output.
func (b *bench) start(ctx context.Context, args []string) func() ([]byte, error) {
	type done struct {
		out []byte
		err error
	}
	ends := make(chan done, 1)
	go func() {
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
		ends <- done{out, err}
	}()
	return func() ([]byte, error) {
		d := <-ends
		return d.out, d.err
	}
}
