// SPDX-License-Identifier: BSD-3-Clause

// Command bulkdump-arrow writes the table of the bulkdump family as an Arrow stream,
// for DuckDB, pandas, polars and the like. It is a module of its own, so that only its
// users need the Arrow library.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"bulkdump/client"
)

const usage = `Usage: bulkdump-arrow [FLAGS] >FILE

Writes the table to stdout as an Arrow IPC stream, in constant memory. If the table
changes during the dump, it warns, and exits with 1: the output has each entry that
was there throughout, but may be a state that the table never had.

      --from ID            smallest id to write
      --to ID              largest id to write
      --name-prefix TEXT   write entries whose name begins with TEXT
      --fields NAME,…      the columns besides id: name, flags, value, payload,
                           stats (hits, bytes, created, updated), generation;
                           default: all
      --allow-interrupted  exit with 0 even if the table changed during the dump
  -h, --help               this text

Examples:
  bulkdump-arrow >table.arrows
  bulkdump-arrow --fields name,value --from 1000 | ssh host 'cat >table.arrows'
  python3 -c 'import pyarrow as pa; print(pa.ipc.open_stream("table.arrows").read_pandas())'
  python3 -c 'import polars as pl; print(pl.read_ipc_stream("table.arrows"))'
`

// options are the command line.
type options struct {
	dump             client.DumpOptions
	fields           client.Field
	allowInterrupted bool
}

// parse reads the command line. The error is that of a wrong one, or pflag.ErrHelp.
func parse(args []string) (*options, error) {
	o := &options{fields: client.FieldsAll}
	f := pflag.NewFlagSet("bulkdump-arrow", pflag.ContinueOnError)
	f.Usage = func() {}
	id := func(name string, to **uint32) {
		f.Func(name, "", func(text string) error {
			digits, base := text, 10 // as bulkdump reads numbers: with base 0, 010 would be 8
			if rest, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
				digits, base = rest, 16
			}
			v, err := strconv.ParseUint(digits, base, 32)
			if err != nil {
				return errors.New("must be a number from 0 to 4294967295")
			}
			*to = new(uint32(v))
			return nil
		})
	}
	id("from", &o.dump.IDFrom)
	id("to", &o.dump.IDTo)
	f.StringVar(&o.dump.NamePrefix, "name-prefix", "", "")
	f.TextVar(&o.fields, "fields", client.FieldsAll, "")
	f.BoolVar(&o.allowInterrupted, "allow-interrupted", false, "")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("%q: there are only flags", f.Arg(0))
	case o.dump.IDFrom != nil && o.dump.IDTo != nil && *o.dump.IDFrom > *o.dump.IDTo:
		return nil, fmt.Errorf("--from %d is above --to %d", *o.dump.IDFrom, *o.dump.IDTo)
	case f.Changed("name-prefix") && (o.dump.NamePrefix == "" || len(o.dump.NamePrefix) > client.NameLenMax):
		return nil, fmt.Errorf("--name-prefix must have 1 to %d bytes", client.NameLenMax)
	}
	o.dump.Fields = &o.fields
	return o, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes a command line and returns its exit code: 0, 1 if something failed, 2
// if the command line is wrong.
func run(ctx context.Context, args []string, stdout *os.File, stderr io.Writer) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "bulkdump-arrow: %v\nSee 'bulkdump-arrow --help'.\n", err)
		return 2
	}
	if _, err := unix.IoctlGetTermios(int(stdout.Fd()), unix.TCGETS); err == nil {
		fmt.Fprintln(stderr, "bulkdump-arrow: stdout is a terminal: an Arrow stream is not text. Redirect it to a file.")
		return 2
	}
	err = write(ctx, o, stdout)
	if errors.Is(err, client.ErrInterrupted) {
		fmt.Fprintln(stderr, "bulkdump-arrow: warning: the table changed during the dump: the output may be a state that it never had")
		if o.allowInterrupted {
			return 0
		}
		return 1
	}
	if err != nil {
		fmt.Fprintf(stderr, "bulkdump-arrow: %v\n", err)
		return 1
	}
	return 0
}

func write(ctx context.Context, o *options, stdout *os.File) error {
	c, err := client.Dial(client.Config{})
	if err != nil {
		return err
	}
	defer c.Close()
	out := bufio.NewWriterSize(stdout, 1<<20)
	err = writeTable(out, o.fields, c.Columns(ctx, o.dump))
	return errors.Join(err, out.Flush())
}
