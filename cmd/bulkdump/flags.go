// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// parseNumber reads a decimal or hexadecimal number from first to last. With base 0
// of strconv, 010 would be 8.
func parseNumber(text string, first, last uint64) (uint64, error) {
	digits, base := text, 10
	if rest, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		digits, base = rest, 16
	}
	v, err := strconv.ParseUint(digits, base, 64)
	if err != nil || v < first || v > last {
		return 0, usagef("must be a number from %d to %d", first, last)
	}
	return v, nil
}

// parseArgument is parseNumber for an argument, which the error has to name.
func parseArgument(name, text string, first uint32) (uint32, error) {
	v, err := parseNumber(text, uint64(first), math.MaxUint32)
	if err != nil {
		return 0, usagef("%s %q %v", name, text, err)
	}
	return uint32(v), nil
}

func parseID(text string) (uint32, error) { return parseArgument("id", text, 0) }

// idArgument is for a command that takes one id and nothing else.
func idArgument(id *uint32) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) (err error) {
		if len(args) != 1 {
			return usagef("give one id")
		}
		*id, err = parseID(args[0])
		return err
	}
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments: %q", cmd.Name(), args[0])
	}
	return nil
}

// number is the value of a flag.
type number[T uint32 | uint64] struct {
	to          *T
	first, last T
}

func (n number[T]) Set(text string) error {
	v, err := parseNumber(text, uint64(n.first), uint64(n.last))
	if err != nil {
		return err
	}
	*n.to = T(v)
	return nil
}

func (n number[T]) String() string { return strconv.FormatUint(uint64(*n.to), 10) }

func (n number[T]) Type() string { return "N" }

// number32 registers a flag for any number of 32 bits. Its default is the value of
// to.
func number32(cmd *cobra.Command, to *uint32, name, usage string) {
	cmd.Flags().Var(number[uint32]{to, 0, math.MaxUint32}, name, usage)
}

func number64(cmd *cobra.Command, to *uint64, name, usage string) {
	cmd.Flags().Var(number[uint64]{to, 0, math.MaxUint64}, name, usage)
}

// numberWithin is number32 with bounds.
func numberWithin(cmd *cobra.Command, to *uint32, first, last uint32, name, usage string) {
	cmd.Flags().Var(number[uint32]{to, first, last}, name, usage)
}

// readFlags registers how the kernel is to build a dump, and in what it is read.
func readFlags(cmd *cobra.Command, o *client.DumpOptions, buffer *uint32) {
	numberWithin(cmd, buffer, nldump.MinBufferSize, maxBufferSize, "buffer",
		"receive buffer in bytes; the kernel sizes its pages by it")
	cmd.Flags().TextVar(&o.Cursor, "cursor", client.CursorKey,
		"how the kernel remembers its place: `CURSOR` is key, bucket, index or walker (all but key need CAP_NET_ADMIN)")
	cmd.Flags().TextVar(&o.Encoding, "encoding", client.EncodingPlain,
		"how the kernel writes records: `ENCODING` is plain, direct or columns")
}

const maxBufferSize = 16 << 20 // far beyond any page of the kernel's

func rangeFlags(cmd *cobra.Command, from, to *uint32, what string) {
	number32(cmd, from, "from", "smallest `ID` to "+what)
	number32(cmd, to, "to", "largest `ID` to "+what)
}

// idRange puts the ids that were given into the options.
func idRange(cmd *cobra.Command, from, to *uint32, o *client.DumpOptions) error {
	if cmd.Flags().Changed("from") {
		o.IDFrom = from
	}
	if cmd.Flags().Changed("to") {
		o.IDTo = to
	}
	if o.IDFrom != nil && o.IDTo != nil && *from > *to {
		return usagef("--from %d is above --to %d", *from, *to)
	}
	return nil
}

// flagsFilter is the value of a flag: the bits that an entry's flags must have.
type flagsFilter struct{ value, mask uint32 }

func (f *flagsFilter) Set(text string) error {
	value, mask, masked := strings.Cut(text, "/")
	v, err := parseNumber(value, 0, math.MaxUint32)
	if err != nil {
		return err
	}
	m := uint64(math.MaxUint32)
	if masked {
		if m, err = parseNumber(mask, 1, math.MaxUint32); err != nil {
			return usagef("the mask %v", err)
		}
	}
	if v&^m != 0 {
		return usagef("the value has bits outside the mask")
	}
	f.value, f.mask = uint32(v), uint32(m)
	return nil
}

// String is the default, for the help: there is none.
func (f *flagsFilter) String() string { return "" }

func (f *flagsFilter) Type() string { return "VALUE[/MASK]" }
