// SPDX-License-Identifier: BSD-3-Clause

// Package cli is what the command lines of the commands have in common.
package cli

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Completion returns the command that prints completion scripts to out. It calls
// begin when its arguments were understood.
func Completion(program string, out io.Writer, begin func()) *cobra.Command {
	shells := map[string]func(*cobra.Command) error{
		"bash": func(root *cobra.Command) error { return root.GenBashCompletionV2(out, true) },
		"zsh":  func(root *cobra.Command) error { return root.GenZshCompletion(out) },
		"fish": func(root *cobra.Command) error { return root.GenFishCompletion(out, true) },
	}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a script that completes command lines in a shell",
		Long: `completion prints a script for bash, zsh or fish that completes the names of
commands and flags, and the values of flags that have a fixed set. 'make
install' puts it where the shells look.`,
		Example: "  " + program + " completion bash > /etc/bash_completion.d/" + program + `
  ` + program + " completion zsh > _" + program + `
  ` + program + " completion fish > " + program + ".fish",
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || shells[args[0]] == nil {
				return errors.New("give one of bash, zsh, fish")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			begin()
			return shells[args[0]](cmd.Root())
		},
	}
}

// Man returns the command that writes the manual pages, which make install needs.
// It calls begin when its arguments were understood.
func Man(program string, begin func()) *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages into a directory",
		Long:    `man writes a manual page for each command into the directory.`,
		Example: "  " + program + " man share/man/man1",
		Hidden:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("give one directory")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			begin()
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			cmd.Root().DisableAutoGenTag = true // it holds a date
			return doc.GenManTree(cmd.Root(), &doc.GenManHeader{Section: "1", Source: program, Manual: "bulkdump"}, args[0])
		},
	}
}
