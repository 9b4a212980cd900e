// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/lab"
	"bulkdump/cmd/bulkdump/internal/lab/nlsock"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/cli"
	"bulkdump/cmd/internal/term"
)

func (a *app) completionCommand() *cobra.Command {
	return cli.Completion("bulkdump", a.out, func() { a.running = true })
}

func (a *app) manCommand() *cobra.Command {
	return cli.Man("bulkdump", func() { a.running = true })
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
		"color":    {string(term.Auto), string(term.Always), string(term.Never)},
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
