// SPDX-License-Identifier: BSD-3-Clause

// Command gen writes the numbers of the family's ABI, which kmod/bulkdump.yaml
// (a YNL spec) defines, as Go constants.
//
//	gen -spec FILE -o FILE           write the constants
//	gen -spec FILE -o FILE -check    exit 1 and show the difference if stale
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
)

func main() {
	spec := flag.String("spec", "", "the YNL `file` to read")
	out := flag.String("o", "", "the Go `file` to write")
	check := flag.Bool("check", false, "write nothing; exit 1 if the file is stale")
	flag.Parse()
	if *spec == "" || *out == "" || flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*spec, *out, *check); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(spec, out string, check bool) error {
	in, err := os.ReadFile(spec)
	if err != nil {
		return err
	}
	f, err := parse(in)
	if err != nil {
		return fmt.Errorf("%s: %w", spec, err)
	}
	want, err := f.generate()
	if err != nil {
		return fmt.Errorf("%s: %w", spec, err)
	}
	if !check {
		return os.WriteFile(out, want, 0o644)
	}
	have, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	if bytes.Equal(have, want) {
		return nil
	}
	return fmt.Errorf("%s is stale (- as it is, + as %s says):\n%s", out, spec, diff(have, want))
}
