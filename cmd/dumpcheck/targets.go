// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bulkdump/cmd/dumpcheck/target"
	"bulkdump/cmd/internal/term"
)

// find finds the dumps that were asked for, and tells them what the flags say.
func (a *app) find(ctx context.Context, words []string) (targets []*target.Target, err error) {
	a.changer = &shellChanger{ctx: ctx, text: a.change, patience: a.patience}
	if len(words) == 0 {
		targets, err = a.kernel.all(ctx)
	} else {
		// A name of --list may be one argument.
		targets, err = a.kernel.find(ctx, append(words[:1:1], strings.Fields(strings.Join(words[1:], " "))...))
	}
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return nil, nothing{err}
	}
	if err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		if len(words) == 0 {
			return nil, fmt.Errorf("%w: this kernel has no dumps", errNone)
		}
		return nil, fmt.Errorf("%w: %s has no dumps", errNone, strings.Join(words, " "))
	}
	described := make(chan error, 1)
	found := targets
	go func() { described <- a.kernel.describe(found, a.spec) }() // a spec may come through a pipe
	select {
	case err = <-described:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	if a.second != "" && len(targets) > 1 {
		var names []string
		for _, t := range targets {
			names = append(names, t.Name())
		}
		return nil, usagef("--second is for one dump, and these are %d: %s", len(targets), strings.Join(names, ", "))
	}
	for i, t := range targets {
		if len(a.attrs) > 0 {
			if t, err = a.kernel.selected(t, a.attrs); err != nil {
				return nil, usagef("%v", err)
			}
			targets[i] = t
		}
		if a.key != "" {
			if t.Key, err = a.kernel.parseKey(t, a.key); err != nil {
				return nil, usagef("--key: %v", err)
			}
		}
		if a.change != "" {
			t.Changer = a.changer
		}
	}
	return targets, nil
}

// listTargets lists the dumps, and what is known of them.
func (a *app) listTargets(targets []*target.Target) error {
	width := len("DUMP")
	for _, t := range targets {
		width = max(width, len(term.Visible(t.Name())))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s  %-7s  %s\n", width, "DUMP", "CHANGES", "KEY")
	for _, t := range targets {
		changes, key := "-", "-"
		if t.Changer != nil {
			changes = "known"
		}
		if !t.Key.IsZero() {
			key = term.Visible(t.Key.String())
		}
		fmt.Fprintf(&b, "%-*s  %-7s  %s\n", width, term.Visible(t.Name()), changes, key)
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

// completeTargets completes the names of families and commands, and with --explain
// those of checks.
func (a *app) completeTargets(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp
	if a.explain != "" {
		return a.ids(), directive
	}
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	targets, err := a.kernel.all(ctx)
	if err != nil || len(args) > 1 {
		return nil, directive
	}
	var names []string
	for _, t := range targets {
		switch {
		case len(args) == 0 && !slices.Contains(names, t.Family):
			names = append(names, t.Family)
		case len(args) == 1 && t.Family == args[0]:
			names = append(names, t.Command)
		}
	}
	return names, directive
}
