// SPDX-License-Identifier: BSD-3-Clause

// Command gen writes the numbers of the family's ABI, which kmod/bulkdump.yaml
// (a YNL spec) defines, as Go constants: in DIR/uapi_gen.go what package client
// exports, in DIR/internal/uapi/uapi_gen.go the rest.
//
//	gen -spec FILE -o DIR           write the constants
//	gen -spec FILE -o DIR -check    exit 1 and show the difference if stale
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	spec := flag.String("spec", "", "the YNL `file` to read")
	out := flag.String("o", "", "the `directory` of package client")
	check := flag.Bool("check", false, "write nothing; exit 1 if a file is stale")
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
	for file, generate := range map[string]func() ([]byte, error){
		"uapi_gen.go":               f.api,
		"internal/uapi/uapi_gen.go": f.numbers,
	} {
		text, err := generate()
		if err != nil {
			return fmt.Errorf("%s: %w", spec, err)
		}
		if err := update(filepath.Join(out, file), text, check); err != nil {
			return err
		}
	}
	return nil
}

// update writes the file or, for a check, compares it.
func update(file string, want []byte, check bool) error {
	if !check {
		return os.WriteFile(file, want, 0o644)
	}
	have, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if bytes.Equal(have, want) {
		return nil
	}
	return fmt.Errorf("%s is stale (- as it is, + as the spec says):\n%s", file, diff(have, want))
}
