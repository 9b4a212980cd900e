// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"bulkdump/client"
	"bulkdump/test/bench/figure"
)

// A race is one reader against two that share the table.
type race struct {
	name string
	one  contender
	two  []contender
}

// races returns the races on a table of n entries: our client's parallel dump,
// ordered and unordered, and two independent processes in C.
func races(n uint32) []race {
	singles := contenders(n)
	one := func(name string) contender {
		return singles[slices.IndexFunc(singles, func(c contender) bool { return c.name == name })]
	}
	var all []race
	for _, encoding := range []client.Encoding{client.EncodingPlain, client.EncodingDirect, client.EncodingColumns} {
		goOne, cOne := one(fmt.Sprintf("go %v", encoding)), one(fmt.Sprintf("c %v", encoding))
		goTwo := contender{name: goOne.name + figure.TwoSockets, read: readParallel(false), options: goOne.options}
		unordered := contender{name: goTwo.name + figure.Unordered, read: readParallel(true), options: goOne.options}
		cTwo := []contender{cOne, cOne}
		below, from := n/2-1, n/2
		cTwo[0].options.IDTo, cTwo[1].options.IDFrom = &below, &from
		all = append(all,
			race{goTwo.name, goOne, []contender{goTwo}},
			race{unordered.name, goOne, []contender{unordered}},
			race{cOne.name + figure.TwoProcesses, cOne, cTwo})
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

// laps is how often each side runs. The two sides take turns, because the
// machine's speed changes over time. The fastest run of each side counts.
const laps = 7

// parallel runs all races on a table of n entries and prints the results.
func (b *bench) parallel(ctx context.Context, n uint32) error {
	all := slices.DeleteFunc(races(n), func(r race) bool { return !b.wanted(r.name) })
	if len(all) == 0 {
		return nil
	}
	want, err := refill(ctx, b.client, n)
	if err != nil {
		return err
	}
	for _, r := range all {
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

// fastest returns the less of the two. soFar is zero before the first lap.
func fastest(soFar, lap time.Duration) time.Duration {
	if soFar == 0 {
		return lap
	}
	return min(soFar, lap)
}

// lap starts all contenders at once and returns how long they take. Together
// they read the whole table.
func (b *bench) lap(ctx context.Context, n uint32, want *expected, all ...contender) (time.Duration, error) {
	results, errs := make([]result, len(all)), make([]error, len(all))
	var running sync.WaitGroup
	start := time.Now()
	for i, c := range all {
		running.Go(func() { results[i], errs[i] = b.run(ctx, b.args(c, n, false)) })
	}
	running.Wait()
	took := time.Since(start)
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	var sum result
	for _, r := range results {
		sum.Records, sum.Sum = sum.Records+r.Records, sum.Sum+r.Sum
	}
	return took, want.compare(all[0], false, sum)
}
