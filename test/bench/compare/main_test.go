// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/test/bench/figure"
)

// Each reader runs in a process of the test program, as it does in a process of
// the command.
func TestMain(m *testing.M) {
	child, err := runChild(context.Background(), append(tables(), wrong), os.Args[1:])
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case child:
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// needsNamespace skips the test if this process may not create a namespace.
func needsNamespace(t *testing.T) {
	t.Helper()
	err := inNamespace(func() error { return nil })
	if errors.Is(err, unix.EPERM) {
		t.Skipf("not root: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Every reader gets the records that were created, from every table.
func TestReadersAgree(t *testing.T) {
	needsNamespace(t)
	err := withBuilt(t.Context(), func() error {
		for _, table := range tables() {
			t.Run(table.name, func(t *testing.T) { readersAgree(t, table) })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readersAgree(t *testing.T, table *table) {
	c, err := compareTable(t.Context(), table, table.readers(), min(20_000, table.entries), 1, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.Skipped != "" {
		t.Skip(c.Skipped)
	}
	if len(c.Readers) != len(table.readers()) {
		t.Errorf("%d readers, not %d", len(c.Readers), len(table.readers()))
	}
	for _, r := range c.Readers {
		switch {
		case r.Skipped != "":
			t.Logf("%s: skipped: %s", r.Reader, r.Skipped)
		case r.Wall == 0 || r.User+r.System == 0 || r.PeakRSS < 1<<20 || r.PeakRSS > 1<<30:
			t.Errorf("%+v", r)
		}
	}
}

// Both twins are read whole, each from its own namespace.
func TestTwoAtOnce(t *testing.T) {
	needsNamespace(t)
	all, err := compareAtOnce(t.Context(), routes, 2000, 1, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 && runtime.GOMAXPROCS(0) > 1 {
		t.Errorf("%+v", all)
	}
	for _, a := range all {
		if !(a.Times > 0.1 && a.Times < 10) {
			t.Errorf("%+v", a)
		}
	}
	short := *routes
	short.decode = func(m nldump.Message) (words, error) { return words{}, nil }
	if _, err := compareAtOnce(t.Context(), &short, 2000, 1, io.Discard); runtime.GOMAXPROCS(0) > 1 && err == nil {
		t.Error("a reader that misreads is not found")
	}
}

// wrong is a table with readers that change a record after decoding it.
var wrong = func() *table {
	t := *routes
	t.name, t.others = "wrong", nil
	for name, change := range map[string]func(n int, w words, sum *tally){
		"drops one": func(n int, w words, sum *tally) {
			if n != 1000 {
				sum.add(w)
			}
		},
		"repeats one": func(n int, w words, sum *tally) {
			if sum.add(w); n == 1000 {
				sum.add(w)
			}
		},
		"misreads one field of one": func(n int, w words, sum *tally) {
			if n == 1000 {
				w[1] ^= 1 // the priority
			}
			sum.add(w)
		},
		"swaps two fields": func(_ int, w words, sum *tally) {
			w[0] = w[0]<<32 | w[0]>>32 // the destination and the gateway
			sum.add(w)
		},
	} {
		t.others = append(t.others, reader{name: name, read: func(ctx context.Context, sum *tally) error {
			right, n := *routes, 0
			right.decode = func(m nldump.Message) (words, error) {
				w, err := decodeRoute(m)
				change(n, w, sum)
				n++
				return w, err
			}
			return right.readBulkdump(ctx, new(tally))
		}})
	}
	t.others = append(t.others, reader{name: "ends with an error", read: func(ctx context.Context, sum *tally) error {
		return errors.Join(routes.readBulkdump(ctx, sum), errors.New("the end is missing"))
	}})
	return &t
}()

// A reader that drops, repeats or misreads a record is found, and so is one
// that ends with an error.
func TestWrongReaders(t *testing.T) {
	needsNamespace(t)
	want := map[string]string{
		"drops one":                 "1999 records, not 2000",
		"repeats one":               "2001 records, not 2000",
		"misreads one field of one": "the 2000 records have the checksum",
		"swaps two fields":          "the 2000 records have the checksum",
		"ends with an error":        "exit status 1",
	}
	for _, r := range wrong.others {
		one := *wrong
		one.others = []reader{r}
		_, err := compareTable(t.Context(), &one, one.readers(), 2000, 1, io.Discard)
		if err == nil || !strings.Contains(err.Error(), r.name+": "+want[r.name]) {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}

// A dump that the kernel refuses is an error.
func TestRefusedDump(t *testing.T) {
	refused := *routes
	refused.request.Type = 0x7fff // larger than any type of rtnetlink
	for _, r := range refused.readers()[:5] {
		if err := r.read(t.Context(), new(tally)); !errors.Is(err, unix.EOPNOTSUPP) {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}

// The output of ip is compared, too.
func TestWrongParser(t *testing.T) {
	needsNamespace(t)
	one := *routes
	one.others = []reader{one.others[len(one.others)-1]}
	ip := &one.others[0]
	for _, parse := range []func(string, map[string]uint32) (words, error){
		func(string, map[string]uint32) (words, error) { return words{}, nil },
		func(string, map[string]uint32) (words, error) { return words{}, errors.New("not understood") },
	} {
		ip.parse = parse
		c, err := compareTable(t.Context(), &one, one.readers(), 2000, 1, io.Discard)
		if last := c.Readers[len(c.Readers)-1]; last.Skipped != "" {
			t.Skip(last.Skipped)
		}
		if err == nil || !strings.Contains(err.Error(), "ip: ") {
			t.Errorf("%v", err)
		}
	}
}

// A program that fails is an error, and so is one that is killed by a signal.
func TestMeasureProgram(t *testing.T) {
	for args, want := range map[string]string{
		"exit 0":         "",
		"exit 3":         "ended with status 0x300",
		"kill -TERM $$":  "ended with status 0xf",
		"kill -URG $$":   "", // is ignored by default
		"exec /bin/true": "",
	} {
		r, err := measureProgram(reader{name: args, args: []string{"-c", args}}, "/bin/sh")
		if want == "" && (err != nil || r.Wall == 0 || r.PeakRSS == 0) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v", args, r, err)
		}
	}
}

func TestTally(t *testing.T) {
	all := []words{{1, 2, 3, 4}, {1, 2, 3, 5}, {0, 0, 0, 0}, {2, 1, 3, 4}, {1, 2, 3, 4}}
	var forth, back tally
	for i := range all {
		forth.add(all[i])
		back.add(all[len(all)-1-i])
	}
	if forth != back || forth.Records != 5 {
		t.Errorf("%+v forth, %+v back", forth, back)
	}
	for i := range all {
		for j := range all[i] {
			var changed tally
			for k, w := range all {
				if k == i {
					w[j] ^= 1 << 63
				}
				changed.add(w)
			}
			if forth.compare(changed) == nil {
				t.Errorf("word %d of record %d makes no difference", j, i)
			}
		}
	}
}

// Each field has its own place in the words: changing the first or the last bit
// of any field gives different words each time.
func TestWords(t *testing.T) {
	var r route
	var n neighbour
	var f flow
	var p policy
	for name, record := range map[string]struct {
		words  func() words
		fields []any
	}{
		"route":     {r.words, []any{&r.dst, &r.gateway, &r.oif, &r.table, &r.priority, &r.length, &r.protocol, &r.scope, &r.kind}},
		"neighbour": {n.words, []any{&n.addr, &n.device, &n.lladdr, &n.state, &n.flags}},
		"flow": {f.words, []any{
			&f.orig.src, &f.orig.dst, &f.orig.srcPort, &f.orig.dstPort, &f.orig.protocol,
			&f.reply.src, &f.reply.dst, &f.reply.srcPort, &f.reply.dstPort, &f.reply.protocol, &f.mark,
		}},
		"policy": {p.words, []any{
			&p.src, &p.dst, &p.srcLength, &p.dstLength, &p.dir, &p.action, &p.priority,
			&p.from, &p.to, &p.reqid, &p.protocol, &p.mode,
		}},
	} {
		seen := map[words]bool{record.words(): true}
		for i, field := range record.fields {
			set := func(bit int) {
				switch v := field.(type) {
				case *uint8:
					*v ^= 1 << (bit & 7)
				case *uint16:
					*v ^= 1 << (bit & 15)
				case *uint32:
					*v ^= 1 << (bit & 31)
				case *uint64: // the link layer address
					*v ^= 1 << min(bit, 47)
				}
			}
			for _, bit := range []int{0, 63} {
				set(bit)
				if seen[record.words()] {
					t.Errorf("%s: bit %d of field %d looks like another field", name, bit, i)
				}
				seen[record.words()] = true
				set(bit)
			}
		}
	}
}

// The readers of a table have different names, and each has exactly one way to
// run.
func TestReaders(t *testing.T) {
	for _, table := range tables() {
		var names []string
		for _, r := range table.readers() {
			if slices.Contains(names, r.name) || (r.read == nil) == (r.parse == nil && r.program != libmnlProgram && r.program != rustProgram) {
				t.Errorf("%s: reader %q", table.name, r.name)
			}
			names = append(names, r.name)
		}
		if names[0] != figure.Bulkdump {
			t.Errorf("%s: the first reader is %q", table.name, names[0])
		}
	}
	for _, args := range [][]string{nil, {"routes"}, {"nosuch", "bulkdump"}, {"routes", "nosuch"}, {"routes", "ip"}, {"routes", "bulkdump", "x"}} {
		if err := runOne(t.Context(), tables(), args, io.Discard); err == nil {
			t.Errorf("%q runs", args)
		}
	}
}

func TestFlags(t *testing.T) {
	f, err := parseFlags([]string{"-run=route", "-entries=10", "-rounds=2"})
	if err != nil || f.size != 10 || f.rounds != 2 || !f.only.MatchString("routes") {
		t.Errorf("%+v, %v", f, err)
	}
	for _, bad := range []string{"-count", "-check=file", "-entries=-1", "-entries=9000000", "-rounds=0", "-nosuch", "word", "-run=("} {
		if _, err := parseFlags([]string{bad}); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if err := run(t.Context(), []string{"-run=nosuch"}); err == nil {
		t.Error("a table that there is none of is compared")
	}
}

// What is wrong with a file is told before anything is measured.
func TestFiles(t *testing.T) {
	const kept = "../pictures/compare-counted.json"
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	count := []string{"-count", "-kernel=6.1", "-run=routes", "-entries=20000"}
	for _, tt := range []struct {
		args []string
		want string // of the error
	}{
		{append(count, "-check="+kept, "-readme=../README.md", "-out="+dir), ""},
		{append(count, "-check="+file), file + ": unexpected end of JSON input"},
		{append(count, "-check="+dir+"/none"), "no such file"},
		{append(count, "-check="+kept, "-entries=20001"), kept + " has no 20001 routes"},
		{append(count, "-readme="+file), file + ": it has no place for the tables"},
		{append(count, "-readme="+dir+"/none"), "no such file"},
		{append(count, "-out="+file), "not a directory"},
	} {
		f, err := parseFlags(tt.args)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.files()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
	}
}

func TestMissing(t *testing.T) {
	if got := routes.missing(fmt.Errorf("a veth: %w", unix.EOPNOTSUPP)); got != "not in this kernel: a veth: operation not supported" {
		t.Errorf("%q", got)
	}
	if got := conntrack.missing(unix.EINVAL); got == "" {
		t.Error("a subsystem of nfnetlink's that is not there is an error")
	}
	for _, err := range []error{unix.EINVAL, unix.ENOMEM, unix.EPERM} {
		if got := routes.missing(err); got != "" {
			t.Errorf("a kernel that lacks something: %q", got)
		}
	}
}
