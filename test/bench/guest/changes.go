// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"iter"
	"time"

	"bulkdump/client"
)

// changes is how many changes are counted. The socket of a subscriber that does not
// read has room for their events.
const changes = 100

// setting changes an entry again and again, while dumps are open, of which each has
// sent a page, and while subscribers do not read.
func setting(dumps, subscribers int) func(ctx context.Context, j *job, s *sink) error {
	return func(ctx context.Context, j *job, s *sink) error {
		start := time.Now()
		took, err := setBeside(ctx, j.options, dumps, subscribers)
		s.records = changes
		j.less = (time.Since(start) - took).Nanoseconds()
		return err
	}
}

// setBeside returns what the changes took, without what is around them.
func setBeside(ctx context.Context, o client.DumpOptions, dumps, subscribers int) (took time.Duration, err error) {
	for range dumps {
		next, stop := iter.Pull2(ours.Records(ctx, o))
		defer stop()
		if _, err, _ := next(); err != nil {
			return 0, err
		}
	}
	for range subscribers {
		w, err := ours.OpenWatch(ctx, client.WatchOptions{})
		if err != nil {
			return 0, err
		}
		defer w.Close()
	}
	start := time.Now()
	for i := range uint64(changes) {
		if _, err := ours.Set(ctx, client.Change{ID: 0, Value: &i}); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// readDelta reads what the last n changes made of the table.
func readDelta(n uint64) func(ctx context.Context, j *job, s *sink) error {
	return func(ctx context.Context, j *job, s *sink) error {
		start := time.Now()
		table, err := ours.Table(ctx)
		if err != nil {
			return err
		}
		j.options.Since = new(table.Generation - n)
		j.less = time.Since(start).Nanoseconds()
		return readLent(ctx, j, s)
	}
}
