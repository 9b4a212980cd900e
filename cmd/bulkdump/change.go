// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/output"
)

// changed is the result of a change.
type changed struct {
	ID         uint32 `json:"id"`
	Generation uint64 `json:"generation"`
}

func (a *app) printChanged(id uint32, generation uint64, err error) error {
	if err != nil {
		return err
	}
	c := changed{id, generation}
	return a.out.Row([]output.Field{output.F("id", c.ID), output.F("generation", c.Generation)}, c)
}

// changedLayouts are for several changes.
var changedLayouts = output.Layouts[changed]{
	TableHead: "        ID            GENERATION\n",
	CSVHead:   "id,generation\n",
	Table: func(b []byte, c changed) []byte {
		return output.PadUint(append(output.PadUint(b, uint64(c.ID), 10), "  "...), c.Generation, 20)
	},
	JSON: func(b []byte, c changed) []byte {
		return fmt.Appendf(b, `{"id":%d,"generation":%d}`, c.ID, c.Generation)
	},
	CSV: func(b []byte, c changed) []byte {
		return fmt.Appendf(b, "%d,%d", c.ID, c.Generation)
	},
}

func (a *app) newCommand() *cobra.Command {
	var id uint32
	f := &entryFlags{}
	cmd := &cobra.Command{
		Use:   "new ID NAME",
		Short: "Make an entry",
		Long: `new makes an entry with the id and the name, which has 1 to 63 bytes. It fails
if the id is taken.`,
		Example: `  bulkdump new 7 seven --value 49
  bulkdump new 8 eight --payload hex:c0ffee
  bulkdump new 9 nine --payload @payload.bin`,
		Args: func(_ *cobra.Command, args []string) (err error) {
			if len(args) != 2 {
				return usagef("give an id and a name")
			}
			if id, err = parseID(args[0]); err != nil {
				return err
			}
			return checkName(args[1])
		},
		RunE: a.runsAlone(func(cmd *cobra.Command, args []string) (err error) {
			e := client.Entry{ID: id, Name: args[1], Flags: f.flags, Value: f.value}
			if e.Payload, err = a.readPayload(f.payload); err != nil {
				return err
			}
			return a.connected(func(t table) error {
				generation, err := t.New(cmd.Context(), e)
				return a.printChanged(id, generation, err)
			})
		}),
	}
	f.register(cmd)
	return cmd
}

func (a *app) setCommand() *cobra.Command {
	var id uint32
	var name string
	var create bool
	f := &entryFlags{}
	cmd := &cobra.Command{
		Use:   "set ID",
		Short: "Change an entry",
		Long: `set changes what the flags say, and leaves the rest of the entry as it is. It
fails if there is no entry with the id, unless --create is given.`,
		Example: `  bulkdump set 7 --value 50
  bulkdump set 7 --payload ''
  bulkdump set 10 --name ten --create`,
		Args: idArgument(&id),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			given := cmd.Flags().Changed
			if given("name") {
				return checkName(name)
			}
			if !given("flags") && !given("value") && !given("payload") {
				return usagef("nothing to set: give --name, --flags, --value or --payload")
			}
			return nil
		},
		RunE: a.runsAlone(func(cmd *cobra.Command, _ []string) (err error) {
			ch := client.Change{ID: id, Create: create}
			given := cmd.Flags().Changed
			if given("name") {
				ch.Name = &name
			}
			if given("flags") {
				ch.Flags = &f.flags
			}
			if given("value") {
				ch.Value = &f.value
			}
			if given("payload") {
				if ch.Payload, err = a.readPayload(f.payload); err != nil {
					return err
				}
			}
			return a.connected(func(t table) error {
				generation, err := t.Set(cmd.Context(), ch)
				return a.printChanged(id, generation, err)
			})
		}),
	}
	f.register(cmd)
	cmd.Flags().StringVar(&name, "name", "", "new `NAME`, 1 to 63 bytes")
	cmd.Flags().BoolVar(&create, "create", false, "make the entry if there is none; needs --name")
	return cmd
}

func (a *app) delCommand() *cobra.Command {
	var ids []uint32
	return &cobra.Command{
		Use:   "del ID...",
		Short: "Delete entries",
		Long: `del deletes the entries with the ids. If there is none with an id, del says so,
deletes the others all the same, and exits with 1.`,
		Example: `  bulkdump del 7
  bulkdump del 7 8 0xffffffff`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("give one id or more")
			}
			for _, arg := range args {
				id, err := parseID(arg)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return nil
		},
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			return a.deleteAll(cmd.Context(), t, ids)
		}),
	}
}

func (a *app) deleteAll(ctx context.Context, t table, ids []uint32) error {
	var missing error
	p := output.NewList(a.out, changedLayouts)
	for _, id := range ids {
		generation, err := t.Delete(ctx, id)
		switch {
		case err == nil:
			// A failing write keeps no entry alive. End returns its error.
			_ = p.Add(changed{id, generation})
		case errors.Is(err, os.ErrNotExist) && !errors.Is(err, client.ErrNoFamily):
			a.stderr.Note("bulkdump: id %d: %v", id, err)
			missing = errReported
		default:
			return errors.Join(fmt.Errorf("id %d: %w", id, err), unlessPipe(p.Stop()))
		}
	}
	if err := unlessPipe(p.End()); err != nil {
		return err
	}
	return missing
}
