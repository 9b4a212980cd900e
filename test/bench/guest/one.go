// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/test/bench/peak"
)

// result is what a contender's process prints, in Go or in C.
type result struct {
	Instructions int64           `json:"instructions"`
	Records      uint64          `json:"records"`
	Sum          uint64          `json:"sum"`
	Checksum     client.Checksum `json:"checksum"`
	Mallocs      *uint64         `json:"mallocs,omitempty"`
	PeakRSS      uint64          `json:"peak_rss"`
}

// runOne is the process of one contender in Go.
func runOne(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("one", flag.ExitOnError)
	name := f.String("contender", "", "its `name`")
	entries := f.Uint("entries", 0, "number of entries in the table")
	family := f.Uint("family", 0, "the family's number")
	check := f.Bool("check", false, "calculate the checksum")
	_ = f.Parse(args)

	all := contenders(uint32(*entries))
	for _, r := range races(uint32(*entries)) {
		all = append(all, r.two...)
	}
	i := slices.IndexFunc(all, func(c contender) bool { return c.name == *name && c.read != nil })
	if i < 0 {
		return fmt.Errorf("no contender %q", *name)
	}
	j := &job{family: uint16(*family), options: all[i].options, entries: uint64(*entries)}
	var err error
	if j.request, err = j.options.Request(); err != nil {
		return err
	}
	if ours, err = client.Dial(client.Config{}); err != nil {
		return err
	}
	defer ours.Close()
	r, err := measureRead(ctx, all[i].read, j, &sink{check: *check})
	if err != nil {
		return fmt.Errorf("%s: %w", *name, err)
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// measureRead counts the instructions of read. The system calls around it are
// the marks at which the trace is cut.
func measureRead(ctx context.Context, read func(context.Context, *job, *sink) error, j *job, s *sink) (result, error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	unix.Getppid()
	start := time.Now()
	err := read(ctx, j, s)
	took := time.Since(start)
	unix.Getppid()
	runtime.ReadMemStats(&after)
	if err != nil {
		return result{}, err
	}
	mallocs := after.Mallocs - before.Mallocs
	rss, err := peak.RSS("self")
	return result{
		Instructions: took.Nanoseconds() - j.less,
		Records:      s.records, Sum: s.sum, Checksum: s.checksum,
		Mallocs: &mallocs, PeakRSS: rss,
	}, err
}
