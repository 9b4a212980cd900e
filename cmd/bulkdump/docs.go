// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/lab"
	"bulkdump/cmd/bulkdump/internal/lab/nlsock"
	"bulkdump/cmd/bulkdump/internal/output"
)

func (a *app) completionCommand() *cobra.Command {
	shells := map[string]func(*cobra.Command, io.Writer) error{
		"bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":  func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
		"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a script that completes command lines in a shell",
		Long: `completion prints a script for bash, zsh or fish that completes the names of
commands and flags, and the values of flags that have a fixed set. 'make
install' puts it where the shells look.`,
		Example: `  bulkdump completion bash > /etc/bash_completion.d/bulkdump
  bulkdump completion zsh > _bulkdump
  bulkdump completion fish > bulkdump.fish`,
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || shells[args[0]] == nil {
				return usagef("give one of bash, zsh, fish")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			a.running = true
			return shells[args[0]](cmd.Root(), a.out)
		},
	}
}

// manCommand is for make install.
func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages into a directory",
		Long:    `man writes a manual page for each command into the directory.`,
		Example: `  bulkdump man share/man/man1`,
		Hidden:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("give one directory")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			a.running = true
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			cmd.Root().DisableAutoGenTag = true // it holds a date
			return doc.GenManTree(cmd.Root(), &doc.GenManHeader{Section: "1", Source: "bulkdump", Manual: "bulkdump"}, args[0])
		},
	}
}

// completeValues has the shells complete the values of these flags, and no files
// where there is nothing to complete.
func completeValues(root *cobra.Command) {
	cursors := make([]string, 0, len(lab.Cursors))
	for _, c := range lab.Cursors {
		cursors = append(cursors, c.String())
	}
	scenarios, _ := lab.Scenarios()
	values := map[string][]string{
		"output":   append([]string{output.FormatCount, output.FormatSVG}, output.Formats...),
		"color":    {string(output.Auto), string(output.Always), string(output.Never)},
		"cursor":   cursors,
		"encoding": {client.EncodingPlain.String(), client.EncodingDirect.String(), client.EncodingColumns.String()},
		"scenario": scenarios,
		"source":   {"auto", string(nlsock.Diag), string(nlsock.Proc)},
	}
	for _, cmd := range append(root.Commands(), root) {
		for name, of := range values {
			if cmd.Flags().Lookup(name) != nil || cmd.PersistentFlags().Lookup(name) != nil {
				// It fails only for a flag that is missing, or registered twice.
				_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(of, cobra.ShellCompDirectiveNoFileComp))
			}
		}
		if cmd.ValidArgs == nil && cmd.ValidArgsFunction == nil && cmd.Name() != "man" {
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
}

// versionFields say what the program was built from, as far as that is known.
func versionFields(info *debug.BuildInfo, ok bool) []output.Field {
	version, revision := "unknown", "unknown"
	var more []output.Field
	if ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				revision = s.Value
			case "vcs.time":
				more = append(more, output.F("committed", s.Value))
			case "vcs.modified":
				more = append(more, output.F("modified", s.Value))
			}
		}
	}
	return append([]output.Field{
		output.F("bulkdump", version),
		output.F("go", runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH),
		output.F("revision", revision),
	}, more...)
}
