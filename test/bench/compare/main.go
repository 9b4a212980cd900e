// SPDX-License-Identifier: BSD-3-Clause

// Command compare measures how long it takes to read the kernel's own tables,
// such as a million routes, with nldump, with the usual Go libraries and with
// ip. Every reader is a process of its own, and all must get the same records.
// It uses this machine's kernel, in network namespaces that end with the
// command, or another kernel in a virtual machine: make compare.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"bulkdump/test/bench/figure"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// flags are the command line.
type flags struct {
	only    *regexp.Regexp
	readers *regexp.Regexp
	size    int
	rounds  int
	json    bool
	kernel  string
	count   bool
	check   string
	out     string
	readme  string
}

func parseFlags(args []string) (*flags, error) {
	f := new(flags)
	set := flag.NewFlagSet("compare", flag.ContinueOnError)
	only := set.String("run", "", "read only the tables that match this `regexp`")
	readers := set.String("readers", "", "beside bulkdump, use only the readers that match this `regexp`")
	set.IntVar(&f.size, "entries", 0, "number of `entries` of each table; 0 means the numbers in README.md")
	set.IntVar(&f.rounds, "rounds", 5, "number of `runs` of each reader; the least counts")
	set.BoolVar(&f.json, "json", false, "print JSON, not tables")
	set.StringVar(&f.kernel, "kernel", "", "run in a virtual machine, on the kernel with this `name`, as for vm/run")
	set.BoolVar(&f.count, "count", false, "with -kernel: count instructions instead of time")
	set.StringVar(&f.check, "check", "", "with -count: fail if a reader that allocates nothing differs from the one in this `file`")
	set.StringVar(&f.out, "out", "", "write compare.json and the pictures to this `directory`")
	set.StringVar(&f.readme, "readme", "", "replace the tables in this `file`")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if f.only, err = regexp.Compile(*only); err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	if f.readers, err = regexp.Compile(*readers); err != nil {
		return nil, fmt.Errorf("-readers: %w", err)
	}
	switch {
	case set.NArg() > 0:
		return nil, fmt.Errorf("%q is not a flag", set.Arg(0))
	case f.size < 0 || f.size > 8_000_000:
		return nil, fmt.Errorf("-entries %d: from 0 to 8000000", f.size) // each route has a /24
	case f.rounds < 1:
		return nil, fmt.Errorf("-rounds %d: at least one", f.rounds)
	case f.count && f.kernel == "":
		return nil, errors.New("-count needs -kernel: only a virtual machine counts instructions")
	case f.check != "" && !f.count:
		return nil, errors.New("-check needs -count: a time is not the same on another day")
	}
	return f, nil
}

// readersOf returns the readers of a table that are wanted.
func (f *flags) readersOf(t *table) []reader {
	return slices.DeleteFunc(t.readers(), func(r reader) bool {
		return r.name != figure.Bulkdump && !f.readers.MatchString(r.name)
	})
}

// otherPrograms reports whether a wanted reader is not this program.
func (f *flags) otherPrograms() bool {
	return slices.ContainsFunc(tables(), func(t *table) bool {
		return f.only.MatchString(t.name) && slices.ContainsFunc(f.readersOf(t), func(r reader) bool { return r.read == nil })
	})
}

func run(ctx context.Context, args []string) error {
	if child, err := runChild(ctx, tables(), args); child {
		return err
	}
	f, err := parseFlags(args)
	if err != nil {
		return err
	}
	kept, err := f.files()
	if err != nil {
		return err
	}
	var c *figure.Comparison
	if f.kernel != "" {
		c, err = compareInGuest(ctx, f)
	} else if f.otherPrograms() {
		err = withBuilt(ctx, func() error {
			c, err = compareHere(ctx, f)
			return err
		})
	} else {
		c, err = compareHere(ctx, f)
	}
	if err != nil {
		return err
	}
	if f.json {
		err = c.Write(os.Stdout)
	} else {
		err = c.WriteTables(os.Stdout)
	}
	if f.out != "" {
		err = errors.Join(err, writeOut(c, f.out))
	}
	if f.readme != "" && err == nil {
		err = figure.PasteInto(f.readme, c.Paste)
	}
	if kept != nil && err == nil {
		err = check(c, kept)
	}
	return err
}

// files returns the kept counts, if there are to be some, or what is wrong with the
// files. That is told first, because to measure takes minutes.
func (f *flags) files() (kept *figure.Comparison, err error) {
	if f.readme != "" {
		if err := figure.CanPaste(f.readme, (&figure.Comparison{Counted: f.count}).Paste); err != nil {
			return nil, err
		}
	}
	if f.out != "" {
		if err := os.MkdirAll(f.out, 0o755); err != nil {
			return nil, err
		}
	}
	if f.check == "" {
		return nil, nil
	}
	if kept, err = figure.ReadComparison(f.check); err != nil {
		return nil, err
	}
	for _, t := range tables() {
		if n := cmp.Or(f.size, t.entries); f.only.MatchString(t.name) && !kept.Has(t.name, n) {
			return nil, fmt.Errorf("%s has no %d %s", f.check, n, t.name)
		}
	}
	return kept, nil
}

// check returns an error if a count differs from the kept one.
func check(c, kept *figure.Comparison) error {
	var all []error
	for _, d := range c.Differences(kept) {
		all = append(all, errors.New(d))
	}
	return errors.Join(all...)
}

// compareHere compares on the kernel that this program runs on.
func compareHere(ctx context.Context, f *flags) (*figure.Comparison, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, err
	}
	version, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-") // without the suffix of its builder
	c := &figure.Comparison{Kernel: version, Go: runtime.Version(), Rounds: f.rounds}
	for _, t := range tables() {
		if !f.only.MatchString(t.name) {
			continue
		}
		n := t.entries
		if f.size > 0 {
			n = f.size
		}
		compared, err := compareTable(ctx, t, f.readersOf(t), n, f.rounds, os.Stderr)
		if errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("%w: run it as root (it needs CAP_SYS_ADMIN and CAP_NET_ADMIN)", err)
		}
		if err != nil {
			return nil, err
		}
		c.Tables = append(c.Tables, compared)
	}
	if f.only.MatchString(atOnceName) {
		n := cmp.Or(f.size, routes.entries/2)
		all, err := compareAtOnce(ctx, routes, n, f.rounds, os.Stderr)
		if err != nil {
			return nil, err
		}
		c.AtOnce, c.AtOnceEntries = all, n
	}
	if len(c.Tables) == 0 && len(c.AtOnce) == 0 {
		if f.only.MatchString(atOnceName) {
			return nil, fmt.Errorf("%q needs two processors", atOnceName)
		}
		return nil, fmt.Errorf("-run %s: no such table", f.only)
	}
	return c, nil
}

// writeOut writes the figures into a directory, and the pictures of times.
func writeOut(c *figure.Comparison, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := "compare.json"
	if c.Counted {
		name = "compare-counted.json"
	}
	err := figure.WriteFile(filepath.Join(dir, name), c.Write)
	if c.Counted {
		return err
	}
	for i := range c.Tables {
		t := &c.Tables[i]
		file := filepath.Join(dir, strings.ReplaceAll(t.Name, " ", "-")+".svg")
		err = errors.Join(err, figure.WriteFile(file, func(w io.Writer) error { return t.WriteBars(w, c.Kernel) }))
	}
	return err
}
