// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The QEMU that guests run on, wherever they do: Debian 12 has 7.2, whose TCG
// now and then runs a translation of code that another processor has just
// patched. A kernel that switches a trace event on then dies of an int3 that
// is no longer there. QEMU 8.1 mended it (accel/tcg: "Always lock pages before
// translation"). And figures that count instructions are of one QEMU, too.
var emulatorSuites = []string{"trixie"}

// emulatorRecipe changes when the way it is made changes.
const emulatorRecipe = "1"

// emulatorScript runs QEMU with the libraries that it came with: those of the
// host may be older.
const emulatorScript = `#!/bin/sh
top=$(dirname -- "$0")
lib=$top/usr/lib/x86_64-linux-gnu
exec "$lib/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$lib" \
	"$top/usr/bin/qemu-system-x86_64" -L "$top/usr/share/qemu" -L "$top/usr/share/seabios" "$@"
`

// emulator returns the path of QEMU, which takes no rights to fetch or to run.
func (c *cache) emulator(ctx context.Context) (string, error) {
	include := "qemu-system-x86"
	name := "qemu-" + digest(emulatorRecipe, strings.Join(emulatorSuites, ","), include, emulatorScript)
	dir, err := c.entry(ctx, name, func(dir string) error {
		c.note("fetching QEMU from %s: once, about half a minute and 150 MB", emulatorSuites[0])
		err := c.retry(ctx, dir, func() error { return c.unpackEmulator(ctx, include, dir) })
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("fetch QEMU: %w", err)
		}
		return err
	})
	return filepath.Join(dir, "qemu"), err
}

// unpackEmulator sees that it runs, too.
func (c *cache) unpackEmulator(ctx context.Context, include, dir string) error {
	if err := unpackPackages(ctx, emulatorSuites, include, dir, notForBuild); err != nil {
		return err
	}
	qemu := filepath.Join(dir, "qemu")
	if err := os.WriteFile(qemu, []byte(emulatorScript), 0o755); err != nil {
		return err
	}
	return runTool(tool(ctx, qemu, "--version"))
}
