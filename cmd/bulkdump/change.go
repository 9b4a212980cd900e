// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"bulkdump/client"
)

// changed is the result of a change.
type changed struct {
	ID         uint32 `json:"id"`
	Generation uint64 `json:"generation"`
}

func (a *app) printChanged(c changed) error {
	return printRow(a.stdout, a.format, []field{{"id", c.ID}, {"generation", c.Generation}}, c)
}

func (a *app) newCommand() *cobra.Command {
	f := &entryFlags{}
	cmd := &cobra.Command{
		Use:   "new ID NAME",
		Short: "Make an entry",
		Long:  `new makes an entry. It fails if there is one with the id.`,
		Example: `  bulkdump new 7 seven --value 49
  bulkdump new 8 eight --payload hex:c0ffee
  bulkdump new 9 nine --payload @/etc/hostname`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("give an id and a name")
			}
			_, err := parseID(args[0])
			return err
		},
		RunE: a.runs(func(cmd *cobra.Command, t table, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			e := client.Entry{ID: id, Name: args[1], Flags: f.flags, Value: f.value}
			if e.Payload, err = a.readPayload(f.payload); err != nil {
				return err
			}
			generation, err := t.New(cmd.Context(), e)
			if err != nil {
				return err
			}
			return a.printChanged(changed{id, generation})
		}),
	}
	f.register(cmd)
	return cmd
}

func (a *app) setCommand() *cobra.Command {
	f := &entryFlags{}
	var name string
	var create bool
	cmd := &cobra.Command{
		Use:   "set ID",
		Short: "Change an entry",
		Long: `set changes what its flags give and leaves the rest of the entry. It fails if
there is no entry with the id, unless --create is given.`,
		Example: `  bulkdump set 7 --value 50
  bulkdump set 7 --payload ''
  bulkdump set 10 --name ten --create`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("give one id")
			}
			_, err := parseID(args[0])
			return err
		},
		RunE: a.runs(func(cmd *cobra.Command, t table, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
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
			generation, err := t.Set(cmd.Context(), ch)
			if err != nil {
				return err
			}
			return a.printChanged(changed{id, generation})
		}),
	}
	f.register(cmd)
	cmd.Flags().StringVar(&name, "name", "", "name, 1 to 63 bytes")
	cmd.Flags().BoolVar(&create, "create", false, "make the entry if there is none; needs --name")
	cmd.MarkFlagsOneRequired("name", "flags", "value", "payload")
	return cmd
}

func (a *app) delCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "del ID...",
		Short: "Delete entries",
		Long: `del deletes the entries with the ids. One that is not there is told and does
not keep the others; the exit code is then 1.`,
		Example: `  bulkdump del 7
  bulkdump del 7 8 0xffffffff`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("give an id, or several")
			}
			_, err := parseIDs(args)
			return err
		},
		RunE: a.runs(func(cmd *cobra.Command, t table, args []string) error {
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			var failed error
			p := newChangedPrinter(a.stdout, a.format)
			for _, id := range ids {
				generation, err := t.Delete(cmd.Context(), id)
				if err != nil {
					fmt.Fprintf(a.stderr, "bulkdump: id %d: %v\n", id, err)
					failed = errReported
					continue
				}
				p.print(changed{id, generation})
			}
			if err := p.end(); err != nil {
				return err
			}
			return failed
		}),
	}
}
