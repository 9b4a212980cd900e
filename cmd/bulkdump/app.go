// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bulkdump/client"
	"bulkdump/client/mirror"
	"bulkdump/cmd/bulkdump/internal/lab"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/cli"
	"bulkdump/cmd/internal/term"
)

// table is what the commands need of a client.Client.
type table interface {
	lab.Table
	GetByName(context.Context, string) (client.Entry, error)
	Watch(context.Context, client.WatchOptions) iter.Seq2[client.Event, error]
	openMirror(context.Context, mirror.Options) (tableMirror, error)
	Sync(context.Context, client.SyncOptions) iter.Seq2[*client.Record, error]
	DumpParallel(context.Context, int, client.ParallelOptions) iter.Seq2[*client.Record, error]
	Close() error
}

// tableMirror is what the command mirror needs of a mirror.Mirror.
type tableMirror interface {
	Synced(context.Context) error
	Follow(context.Context) iter.Seq2[client.Event, error]
	All() iter.Seq[client.Entry]
	Stats() mirror.Stats
	Done() <-chan struct{}
	Err() error
	Close() error
}

// kernelTable is the table of a client.
type kernelTable struct{ *client.Client }

func (t kernelTable) openMirror(ctx context.Context, o mirror.Options) (tableMirror, error) {
	return mirror.Open(ctx, t.Client, o)
}

// app is the program. Tests replace what it touches.
type app struct {
	stdin  io.Reader
	out    *output.Stdout // with -o and --color
	stderr *term.Console
	quit   func(code int) // ends the program at once
	dial   func() (table, error)
	lab    laboratory

	timeout time.Duration // --timeout
	running bool          // the command line was understood
}

// The groups of commands in the help.
const (
	tableGroup = "table"
	labGroup   = "lab"
)

func (a *app) rootCommand() *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:   "bulkdump",
		Short: "Fill, read and change the table of the bulkdump family",
		Long: `bulkdump fills, reads and changes the bulkdump table of the network namespace
that it runs in. The table lives in the kernel module bulkdump. Everybody may
read it. Changes, and dumps with a cursor other than key, need CAP_NET_ADMIN in
the initial user namespace. If the module is loaded with userns_admin=1, they
need it in the user namespace that owns the network namespace.

Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 1 failed, 2
wrong usage, 130 ended by SIGINT, 143 ended by SIGTERM. It is no failure if the
reader of stdout closes it. Numbers are decimal or, with 0x, hexadecimal. The
JSON output has a schema: see 'bulkdump schema --help'.

Names and other text from outside are quoted unless they are plain, and escaped
where they are not printable. CSV has their bytes as they are, unless it goes to
a terminal. Payloads are base64 in JSON and hexadecimal in CSV.`,
		Example: `  bulkdump fill 1000000 --payload-max 64
  bulkdump dump --from 10 --to 20
  bulkdump dump -o jsonl | head
  bulkdump --version`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !version {
				return usagef("give a command")
			}
			return a.runsAlone(func(*cobra.Command, []string) error {
				return output.WriteFields(a.out, versionFields(debug.ReadBuildInfo()))
			})(cmd, args)
		},
		DisableSuggestions: true, // they take several lines
	}
	root.Flags().BoolVar(&version, "version", false, "print what this program was built from")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(helpCommand())
	root.SetFlagErrorFunc(explainFlagError)
	root.PersistentFlags().Var(&a.out.Color, "color", "color what deserves a look: `WHEN` is auto, always or never")
	root.PersistentFlags().StringVarP(&a.out.Format, "output", "o", output.FormatTable,
		"`FORMAT` of the output: "+strings.Join(output.Formats, "|")+", count for dump, svg for trace")
	root.AddGroup(&cobra.Group{ID: tableGroup, Title: "Commands on the table:"}, &cobra.Group{ID: labGroup, Title: "Laboratory:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add(tableGroup, a.fillCommand(), a.dumpCommand(), a.getCommand(), a.newCommand(), a.setCommand(), a.delCommand(),
		a.flushCommand(), a.tableCommand())
	add(labGroup, a.cursorsCommand(), a.guardCommand(), a.socketsCommand(), a.traceCommand())
	for _, cmd := range root.Commands() {
		cli.TimeFlag(cmd, &a.timeout, "timeout", "fail after this `TIME`, such as 90s or 2h; 0: no limit")
	}
	// Those that are meant to be ended have a timeout of their own.
	add(tableGroup, a.watchCommand(), a.mirrorCommand())
	root.AddCommand(a.schemaCommand(), a.completionCommand(), a.manCommand())
	completeValues(root)
	return root
}

// suggestion guesses which command an unknown one was meant to be.
func suggestion(root *cobra.Command, err error, args []string) string {
	if !strings.HasPrefix(err.Error(), "unknown command") {
		return ""
	}
	root.SuggestionsMinimumDistance = 2
	for _, arg := range args {
		if names := root.SuggestionsFor(arg); arg != "" && arg[0] != '-' && len(names) > 0 {
			return ": did you mean " + strings.Join(names, " or ") + "?"
		}
	}
	return ""
}

// helpCommand is like cobra's, but fails for a command that does not exist.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Print the help of a command",
		Long:    `help prints the help of the command, or of bulkdump.`,
		Example: `  bulkdump help dump`,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %q", strings.Join(args, " "))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// explainFlagError takes "-5" for a number, not for an unknown flag, and says what
// a value must be where the library quotes strconv.
func explainFlagError(_ *cobra.Command, err error) error {
	if invalid := (*pflag.InvalidValueError)(nil); errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "bool" {
		return usagef("invalid argument %q for \"--%s\" flag: must be true or false", invalid.GetValue(), invalid.GetFlag().Name)
	}
	var unknown interface{ GetSpecifiedShortnames() string }
	if errors.As(err, &unknown) {
		if name := unknown.GetSpecifiedShortnames(); name != "" && name[0] >= '0' && name[0] <= '9' {
			return usagef("-%s: a number cannot be negative; put other arguments that begin with - after --", name)
		}
	}
	return err
}

// runs makes a cobra function of fn. It checks the format, connects, and closes
// the connection.
func (a *app) runs(fn func(*cobra.Command, table, []string) error, more ...string) func(*cobra.Command, []string) error {
	return a.runsAlone(func(cmd *cobra.Command, args []string) error {
		return a.connected(func(t table) error { return fn(cmd, t, args) })
	}, more...)
}

// connected calls fn with a connection, and closes it.
func (a *app) connected(fn func(table) error) error {
	t, err := a.dial()
	if err != nil {
		return err
	}
	defer t.Close()
	return fn(t)
}

// runsAlone is runs without a connection. The context ends after --timeout.
func (a *app) runsAlone(fn func(*cobra.Command, []string) error, more ...string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		known := append(slices.Clone(output.Formats), more...)
		if !slices.Contains(known, a.out.Format) {
			hint := ""
			if a.out.Format == "arrow" || a.out.Format == "parquet" {
				hint = "; bulkdump-arrow writes an Arrow stream"
			}
			return usagef("%s has no output format %q, only %s%s", cmd.Name(), a.out.Format, strings.Join(known, ", "), hint)
		}
		a.running = true
		ctx, cancel := within(cmd.Context(), a.timeout)
		defer cancel()
		defer a.watchEnd(ctx, cmd.Name())()
		cmd.SetContext(ctx)
		err := fn(cmd, args)
		if a.timeout > 0 && errors.Is(err, context.DeadlineExceeded) {
			return a.late()
		}
		return err
	}
}

func (a *app) late() error {
	return fmt.Errorf("not done within %v: give a longer --timeout", a.timeout)
}

// watchEnd ends the program if the end of the context does not: nobody reads what
// it writes, or the kernel takes long for one page or request. It watches until
// stop is called.
func (a *app) watchEnd(ctx context.Context, command string) (stop func()) {
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		select {
		case <-stopped:
			return
		case <-time.After(patience):
		}
		sig := cli.SignalOf(ctx)
		switch {
		case a.out.Busy() && sig != 0:
			a.stderr.Note("bulkdump: nobody reads the output: send the signal again to end at once")
		case a.out.Busy() && a.timeout > 0:
			a.stderr.Note("bulkdump: not done within %v: nobody reads the output", a.timeout)
			a.quit(exitFailed)
		case slices.Contains([]string{"cursors", "guard", "mirror", "trace", "watch"}, command):
			// They empty the table first, or print what they have.
		case sig != 0:
			a.explain(ctx, context.Canceled)
			a.quit(exitSignal + int(sig))
		default:
			a.stderr.Complain(a.late())
			a.quit(exitFailed)
		}
	})
	return func() { close(stopped) }
}
