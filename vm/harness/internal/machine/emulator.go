// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/cache"
	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/internal/proto"
)

// emulatorSuites have the QEMU that guests run on, on every host, so that all
// figures that count instructions are of one QEMU. The TCG of Debian 12's 7.2 often
// runs code that another processor has just patched, until the guest dies of an
// int3 that is gone. QEMU 8.1 made that rare (accel/tcg: "Always lock pages before
// translation"); see traceWithoutNames in the guest's init for the rest.
var emulatorSuites = []string{"trixie"}

// emulatorScript runs the QEMU of the script's own name with its own libraries: those
// of the host may be older.
const emulatorScript = `#!/bin/sh
top=$(dirname -- "$0")
lib=$top/usr/lib/x86_64-linux-gnu
exec "$lib/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$lib" \
	"$top/usr/bin/${0##*/}" -L "$top/usr/share/qemu" -L "$top/usr/share/seabios" "$@"
`

// Emulator is a QEMU, and the accelerator that works on this host: kvm or tcg.
type Emulator struct {
	arch        *arch.Arch
	path, Accel string
}

// NewEmulator fetches QEMU, and chooses the accelerator. wish is that of --accel.
// That /dev/kvm opens proves nothing: on some machines a guest on it never leaves
// the BIOS. So auto boots a boot sector once, and remembers the result.
func NewEmulator(ctx context.Context, c *cache.Cache, a *arch.Arch, wish string) (*Emulator, error) {
	dir, err := c.Fetch(ctx, cache.Parcel{
		Kind:   a.Package,
		Recipe: emulatorScript,
		What:   a.Package,
		Costs:  "half a minute and 150 MB",
		Suites: emulatorSuites,
		Names:  []string{a.Package},
		Out:    cache.NotForBuild,
		Finish: func(dir string) error {
			programs, _ := filepath.Glob(filepath.Join(dir, "usr/bin/qemu-system-*"))
			for _, p := range programs {
				if err := os.WriteFile(filepath.Join(dir, filepath.Base(p)), []byte(emulatorScript), 0o755); err != nil {
					return err
				}
			}
			return host.Run(host.Command(ctx, filepath.Join(dir, a.QEMU), "--version"))
		},
	})
	if err != nil {
		return nil, err
	}
	e := &Emulator{a, filepath.Join(dir, a.QEMU), "tcg"}
	if wish == "tcg" {
		return e, nil
	}
	if !a.IsPC() {
		if wish == "kvm" {
			return nil, fmt.Errorf("--accel kvm: this host's processor does not run %s", a.Name)
		}
		return e, nil
	}
	works, why, err := kvmWorks(ctx, c, e.path)
	switch {
	case err != nil:
		return nil, err
	case works:
		e.Accel = "kvm"
	case wish == "kvm":
		return nil, fmt.Errorf("--accel kvm: %s", why)
	}
	return e, nil
}

const kvmDevice = "/dev/kvm"

// probeLimit is ten times what KVM takes for a boot sector.
const probeLimit = 5 * time.Second

func kvmWorks(ctx context.Context, c *cache.Cache, qemu string) (works bool, why string, err error) {
	f, err := os.OpenFile(kvmDevice, os.O_RDWR, 0)
	if err != nil {
		return false, err.Error(), nil
	}
	f.Close()
	key, err := machineKey(ctx, qemu)
	if err != nil {
		return false, "", err
	}
	path, err := c.Entry(ctx, "kvm-"+key, func(dir string) error {
		c.Note("trying whether a guest runs on KVM here: once, %v at most", probeLimit)
		answer := "yes"
		if err := probeKVM(ctx, qemu, dir); err != nil {
			if ctx.Err() != nil {
				return err
			}
			answer = host.FirstLine(err)
			c.Note("it does not (%s): using TCG", answer)
		}
		os.Remove(filepath.Join(dir, "sector"))
		return os.WriteFile(filepath.Join(dir, "answer"), []byte(answer), 0o644)
	})
	if err != nil {
		return false, "", err
	}
	answer, err := os.ReadFile(filepath.Join(path, "answer"))
	return string(answer) == "yes", "a guest does not run on it: " + string(answer), err
}

// machineKey stands for what the answer depends on: the host's kernel and
// processor, and QEMU.
func machineKey(ctx context.Context, qemu string) (string, error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return "", err
	}
	version, err := host.Output(host.Command(ctx, qemu, "--version"))
	if err != nil {
		return "", err
	}
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, model, _ := strings.Cut(string(text), "model name")
	model, _, _ = strings.Cut(model, "\n")
	return cache.Digest(unix.ByteSliceToString(uts.Release[:]), unix.ByteSliceToString(uts.Version[:]), model, version), nil
}

// probeKVM boots a boot sector that only writes the exit value to the debug-exit
// port.
func probeKVM(ctx context.Context, qemu, dir string) error {
	sector := filepath.Join(dir, "sector")
	text := make([]byte, 512)
	copy(text, []byte{
		0xb0, proto.DebugExitValue, // mov al, value
		0xe6, proto.DebugExitPort, // out port, al
		0xf4,       // hlt
		0xeb, 0xfd, // jmp to the hlt
	})
	text[510], text[511] = 0x55, 0xaa
	if err := os.WriteFile(sector, text, 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	cmd := host.Command(ctx, qemu, "-M", "q35", "-accel", "kvm", "-cpu", "max", "-m", "64",
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-device", debugExitDevice,
		"-drive", "file.locking=off,format=raw,readonly=on,file="+strings.ReplaceAll(sector, ",", ",,"))
	err := host.Run(cmd)
	if ctx.Err() != nil {
		return fmt.Errorf("the guest did nothing for %v", probeLimit)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == proto.DebugExitCode {
		return nil
	}
	if err == nil {
		return errors.New("the guest ended without its word")
	}
	return err
}
