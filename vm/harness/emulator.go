// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"os"
	"path/filepath"
)

// The QEMU that guests run on, wherever they do: figures that count instructions
// are of one QEMU. Debian 12 has 7.2, whose TCG often runs a translation of code
// that another processor has just patched, until the guest dies of an int3 that
// is no longer there. QEMU 8.1 made that rare (accel/tcg: "Always lock pages
// before translation"); see traceWithoutNames in the guest's init for the rest.
var emulatorSuites = []string{"trixie"}

// emulatorScript runs QEMU with the libraries that it came with: those of the
// host may be older.
const emulatorScript = `#!/bin/sh
top=$(dirname -- "$0")
lib=$top/usr/lib/x86_64-linux-gnu
exec "$lib/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$lib" \
	"$top/usr/bin/qemu-system-x86_64" -L "$top/usr/share/qemu" -L "$top/usr/share/seabios" "$@"
`

// emulator is the QEMU that a guest runs on, and how: kvm or tcg.
type emulator struct{ path, accel string }

// newEmulator fetches QEMU, which takes no rights to run, and finds how a guest
// runs on it here. wish is the user's.
func newEmulator(ctx context.Context, c *cache, wish string) (*emulator, error) {
	path, err := fetchQEMU(ctx, c)
	if err != nil {
		return nil, err
	}
	accel, err := accelerator(ctx, c, path, wish)
	return &emulator{path, accel}, err
}

// fetchQEMU returns its path.
func fetchQEMU(ctx context.Context, c *cache) (string, error) {
	dir, err := c.fetch(ctx, parcel{
		kind:   "qemu",
		recipe: emulatorScript,
		what:   "QEMU",
		costs:  "half a minute and 150 MB",
		suites: emulatorSuites,
		names:  []string{"qemu-system-x86"},
		out:    notForBuild,
		finish: func(dir string) error { return finishEmulator(ctx, dir) },
	})
	return filepath.Join(dir, "qemu"), err
}

// finishEmulator sees that it runs, too.
func finishEmulator(ctx context.Context, dir string) error {
	qemu := filepath.Join(dir, "qemu")
	if err := os.WriteFile(qemu, []byte(emulatorScript), 0o755); err != nil {
		return err
	}
	return runTool(tool(ctx, qemu, "--version"))
}
