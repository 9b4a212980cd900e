// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/test/bench/figure"
)

// atOnceName selects this measurement, beside the names of the tables.
const atOnceName = "two at once"

// A twin is a namespace with a table of its own, and the sockets that read it. They
// keep the namespace.
type twin struct {
	stream *nldump.Stream
	bare   int // a socket without a library
	want   tally
}

func newTwin(t *table, n int) (w *twin, err error) {
	w = &twin{bare: -1}
	err = inNamespace(func() (err error) {
		if err = createDevices(t.devicesUp); err != nil {
			return err
		}
		if w.want, err = t.create(n); err != nil {
			return err
		}
		if w.stream, err = nldump.Dial(t.protocol, nldump.Config{}); err != nil {
			return err
		}
		w.bare, err = openBare(t.protocol)
		return err
	})
	if err != nil {
		w.close()
	}
	return w, err
}

func (w *twin) close() {
	if w.stream != nil {
		_ = w.stream.Close()
	}
	if w.bare >= 0 {
		_ = unix.Close(w.bare)
	}
}

// readTwice measures how many times as fast both twins are read at once as one
// after the other.
func readTwice(rounds int, read func(i int) error) (times float64, err error) {
	oneByOne, atOnce := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for range rounds {
		start := time.Now()
		if err := errors.Join(read(0), read(1)); err != nil {
			return 0, err
		}
		oneByOne = min(oneByOne, time.Since(start))

		other := make(chan error)
		start = time.Now()
		go func() { other <- read(1) }()
		if err := errors.Join(read(0), <-other); err != nil {
			return 0, err
		}
		atOnce = min(atOnce, time.Since(start))
	}
	return float64(oneByOne) / float64(atOnce), nil
}

// compareAtOnce reads n entries in each of two namespaces on two processors. What the
// machine's processors give a loop that is only arithmetic is the bound.
func compareAtOnce(ctx context.Context, t *table, n, rounds int, progress io.Writer) (all []figure.AtOnce, err error) {
	if runtime.GOMAXPROCS(0) < 2 {
		return nil, nil
	}
	var twins [2]*twin
	for i := range twins {
		if twins[i], err = newTwin(t, n); err != nil {
			return nil, err
		}
		defer twins[i].close()
	}
	fmt.Fprintf(progress, "%d %s created in each of two namespaces\n", n, t.name)
	into := func(read func(w *twin, sum *tally) error) func(i int) error {
		return func(i int) error {
			var sum tally
			return errors.Join(read(twins[i], &sum), twins[i].want.compare(sum))
		}
	}
	for _, side := range []struct {
		name string
		read func(i int) error
	}{
		{figure.Bulkdump, into(func(w *twin, sum *tally) error { return t.readStream(ctx, w.stream, sum) })},
		{figure.BareLoop, into(func(w *twin, sum *tally) error { return t.readSocket(w.bare, sum) })},
		{"arithmetic only", func(int) error { return arithmetic(100 * n) }},
	} {
		times, err := readTwice(rounds, side.read)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", atOnceName, side.name, err)
		}
		all = append(all, figure.AtOnce{Reader: side.name, Times: times})
	}
	return all, nil
}

// arithmetic is a loop that uses a processor and no memory.
func arithmetic(n int) error {
	var sum tally
	for i := range n {
		sum.add(words{0: uint64(i)})
	}
	return tally{Records: uint64(n), Sum: sum.Sum}.compare(sum)
}
