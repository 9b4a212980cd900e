// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"bulkdump/vm/harness/internal/guest"
	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/internal/proto"
)

// keptFiles are the files that --keep leaves, besides the modules.
var keptFiles = []string{"kernel", "initramfs", "cmdline", "boot"}

// bootScript boots the files next to it, without the harness. The command's output
// goes to the terminal, and a shell reads its keys. The rest goes to files. The
// script judges nothing but how the guest ended.
const bootScript = `#!/bin/sh
# Boots again what vm/run booted; arguments are added to QEMU's.
# console.log has the kernel's messages, control.log has init's. The exit status is
# the command's, or 124 if the guest did not end as it should. QEMU=PATH runs
# another QEMU; on another machine, the script runs the QEMU that is installed.
cd -- "$(dirname -- "$0")" || exit
: "${QEMU:=$(command -v %[2]s || echo %[4]s)}"
# QEMU wants a descriptor that can only be written. A file is not truncated.
exec 3>>/dev/stderr 4>>/dev/stdout
"$QEMU" %[3]s "$@"
code=$?
if [ "$code" != %[1]d ] || ! grep -q '"kind":"done"' control.log; then
	echo "QEMU exited with $code: see console.log" >&2
	exit 124
fi
number() { sed -n 's/.*"kind":"exit".*"'"$1"'":\([0-9]*\).*/\1/p' control.log; }
signal=$(number signal)
[ -z "$signal" ] || exit $((128 + signal))
status=$(number status)
exit "${status:-0}"
`

// Keep writes what is booted to a directory, and returns the line that boots it
// again.
func Keep(dir string, opts *Settings, e *Emulator, g *guest.Guest) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, name := range keptFiles {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	config := *g.Config
	config.Alone, config.Wait = true, false
	alone := *g
	alone.Config = &config
	image, err := alone.Initramfs(&opts.Options)
	if err != nil {
		return "", err
	}
	defer image.Close()
	if _, err := image.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	initramfs, err := os.Create(filepath.Join(dir, "initramfs"))
	if err != nil {
		return "", err
	}
	_, err = io.Copy(initramfs, image)
	if err := errors.Join(err, initramfs.Close()); err != nil {
		return "", err
	}
	for _, from := range append([]string{g.Kernel.Boot}, g.Modules...) {
		to := filepath.Join(dir, filepath.Base(from))
		if from == g.Kernel.Boot {
			to = filepath.Join(dir, "kernel")
		}
		os.Remove(to)
		if err := host.CopyFile(to, from); err != nil {
			return "", err
		}
	}
	boot := filepath.Join(dir, "boot")
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "cmdline"), []byte(e.kernelLine(opts)+"\n"), 0o644),
		os.WriteFile(boot, []byte(bootText(opts, e, g.Kernel)), 0o755),
	)
	return host.Quote(boot), err
}

func bootText(opts *Settings, e *Emulator, k *kernels.Kernel) string {
	// Sets of descriptors: a path would be cut to nothing, were it a file. And
	// QEMU's stdio takes no more output once its input has ended: so that is
	// for a shell alone, which has keys.
	chardevs := [portCount]string{
		portConsole: "file,id=console,path=console.log",
		portControl: "file,id=control,path=control.log",
		portStdout:  "file,id=stdout,path=/dev/fdset/2,append=on",
		portStderr:  "file,id=stderr,path=/dev/fdset/1,append=on",
		portMonitor: "null,id=monitor",
	}
	if opts.Shell {
		chardevs[portStdout] = "stdio,id=stdout,signal=off"
	}
	here := *k
	here.Boot = "kernel"
	line := ""
	for _, a := range append([]string{"-add-fd", "fd=3,set=1", "-add-fd", "fd=4,set=2"}, e.args(opts, &here, "initramfs", chardevs)...) {
		if strings.HasPrefix(a, "-") {
			line += " \\\n\t" + a
		} else {
			line += " " + host.Quote(a)
		}
	}
	code := proto.DebugExitCode
	if !e.arch.IsPC() {
		code = 0
	}
	return fmt.Sprintf(bootScript, code, host.Quote(e.path), strings.TrimPrefix(line, " "), e.arch.QEMU)
}
