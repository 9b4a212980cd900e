// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"context"
	"os"
	"path/filepath"

	"bulkdump/vm/harness/internal/cache"
	"bulkdump/vm/harness/internal/host"
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
type Emulator struct{ path, Accel string }

// newEmulator fetches QEMU, which takes no rights to run, and finds how a guest
// runs on it here. wish is the user's.
func NewEmulator(ctx context.Context, c *cache.Cache, wish string) (*Emulator, error) {
	path, err := fetchQEMU(ctx, c)
	if err != nil {
		return nil, err
	}
	accel, err := accelerator(ctx, c, path, wish)
	return &Emulator{path, accel}, err
}

// fetchQEMU returns its path.
func fetchQEMU(ctx context.Context, c *cache.Cache) (string, error) {
	dir, err := c.Fetch(ctx, cache.Parcel{
		Kind:   "qemu",
		Recipe: emulatorScript,
		What:   "QEMU",
		Costs:  "half a minute and 150 MB",
		Suites: emulatorSuites,
		Names:  []string{"qemu-system-x86"},
		Out:    cache.NotForBuild,
		Finish: func(dir string) error { return finishEmulator(ctx, dir) },
	})
	return filepath.Join(dir, "qemu"), err
}

// finishEmulator sees that it runs, too.
func finishEmulator(ctx context.Context, dir string) error {
	qemu := filepath.Join(dir, "qemu")
	if err := os.WriteFile(qemu, []byte(emulatorScript), 0o755); err != nil {
		return err
	}
	return host.Run(host.Command(ctx, qemu, "--version"))
}
