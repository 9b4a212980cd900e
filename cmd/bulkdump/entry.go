// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/term"
)

func (a *app) getCommand() *cobra.Command {
	var id uint32
	var name string
	cmd := &cobra.Command{
		Use:   "get {ID | --name NAME}",
		Short: "Print one entry",
		Long: `get prints the entry with the id, or the one with the name. If several have the
name, it is the one with the smallest id. Each get counts as a hit of the entry.`,
		Example: `  bulkdump get 7
  bulkdump get --name entry-7-54c1 -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			byName := cmd.Flags().Changed("name")
			if byName == (len(args) > 0) || len(args) > 1 {
				return usagef("give either one id or --name")
			}
			if byName {
				return checkName(name)
			}
			return idArgument(&id)(cmd, args)
		},
		RunE: a.runs(func(cmd *cobra.Command, t table, args []string) (err error) {
			var e client.Entry
			if len(args) > 0 {
				e, err = t.Get(cmd.Context(), id)
			} else {
				e, err = t.GetByName(cmd.Context(), name)
			}
			if err != nil {
				return err
			}
			return a.printEntry(&e)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "`NAME` of the entry")
	return cmd
}

func (a *app) printEntry(e *client.Entry) error {
	if a.out.Format == output.FormatTable || a.out.Format == output.FormatJSON {
		return a.out.Row([]output.Field{
			output.F("id", e.ID),
			output.F("name", term.Quoted(e.Name)),
			output.F("flags", fmt.Sprintf("0x%08x", e.Flags)),
			output.F("value", e.Value),
			output.F("payload", describePayload(e.Payload)),
			output.F("hits", e.Stats.Hits),
			output.F("bytes", e.Stats.Bytes),
			output.F("created", string(output.AppendTime(nil, e.Stats.Created))),
			output.F("updated", string(output.AppendTime(nil, e.Stats.Updated))),
			output.F("generation", e.Generation),
		}, e)
	}
	p := output.NewList(a.out, output.Records)
	err := p.Add(output.RecordOf(e))
	return errors.Join(err, p.End())
}

// describePayload returns the size and the first bytes.
func describePayload(b []byte) string {
	const shown = 16
	text := fmt.Sprintf("%d bytes", len(b))
	if len(b) > 0 {
		text += fmt.Sprintf(": % x", b[:min(len(b), shown)])
	}
	if len(b) > shown {
		text += " ..."
	}
	return text
}

// entryFlags are the attributes that new and set take as flags.
type entryFlags struct {
	flags   uint32
	value   uint64
	payload string
}

func (f *entryFlags) register(cmd *cobra.Command) {
	number32(cmd, &f.flags, "flags", "32 bits for any purpose")
	number64(cmd, &f.value, "value", "64-bit number for any purpose")
	cmd.Flags().StringVar(&f.payload, "payload", "", "up to 60000 bytes: `TEXT`, @FILE (@- is stdin), or hex:DIGITS")
}

// readPayload returns the payload, never nil. A malformed one is wrong usage, as
// with every flag.
func (a *app) readPayload(text string) ([]byte, error) {
	b := []byte(text)
	var err error
	switch {
	case text == "@":
		return nil, usagef("--payload: @ needs the name of a file")
	case strings.HasPrefix(text, "hex:"):
		if b, err = hex.DecodeString(text[len("hex:"):]); err != nil {
			return nil, usagef("--payload: hex: needs two hexadecimal digits for each byte, and nothing else")
		}
	case strings.HasPrefix(text, "@"):
		if b, err = a.readFile(text[1:]); err != nil {
			return nil, err
		}
	}
	if len(b) > client.PayloadLenMax {
		return nil, usagef("--payload: more than %d bytes", client.PayloadLenMax)
	}
	return b, nil
}

// readFile reads at most one byte too many.
func (a *app) readFile(name string) ([]byte, error) {
	in := a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, client.PayloadLenMax+1))
}

// checkName refuses what the kernel would refuse.
func checkName(name string) error {
	if name == "" || len(name) > client.NameLenMax {
		return usagef("name %q must have 1 to %d bytes, not %d", name, client.NameLenMax, len(name))
	}
	return nil
}
