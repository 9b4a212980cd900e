// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/internal/proto"
)

// debugger lets the user's gdb connect to the guest, which waits for it with its
// modules loaded and its command not yet started. Sockets and script are in a
// directory that only the user can enter, and that is removed after the run.
//
// QEMU stops the guest when gdb connects. The harness relays the connection, so it
// sees the first answer of the stopped guest. Only then does it tell the guest to
// start the command, which happens when gdb lets the guest continue.
type debugger struct {
	arch     *arch.Arch
	dir      string
	listener net.Listener
	answered chan struct{} // closed at the stub's first answer
	once     sync.Once
}

func newDebugger(a *arch.Arch) (*debugger, error) {
	dir, err := os.MkdirTemp("", "bulkdump-gdb.")
	if err != nil {
		return nil, err
	}
	d := &debugger{arch: a, dir: dir, answered: make(chan struct{})}
	if d.listener, err = net.Listen("unix", d.socket()); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("the socket for gdb: %w", err)
	}
	go d.serve()
	return d, nil
}

func (d *debugger) socket() string     { return filepath.Join(d.dir, "gdb") }
func (d *debugger) stubSocket() string { return filepath.Join(d.dir, "stub") }
func (d *debugger) script() string     { return filepath.Join(d.dir, "vm.gdb") }

func (d *debugger) close() {
	if d != nil {
		d.listener.Close()
		os.RemoveAll(d.dir)
	}
}

// args are QEMU's: its own end of the stub.
func (d *debugger) args() []string {
	if d == nil {
		return nil
	}
	return []string{"-chardev", "socket,id=gdb,server=on,wait=off,path=" + strings.ReplaceAll(d.stubSocket(), ",", ",,"), "-gdb", "chardev:gdb"}
}

// serve takes one gdb after the other, until the listener is closed.
func (d *debugger) serve() {
	for {
		user, err := d.listener.Accept()
		if err != nil {
			return
		}
		stub, err := net.Dial("unix", d.stubSocket())
		if err != nil {
			user.Close()
			continue
		}
		go func() {
			io.Copy(stub, user)
			stub.Close()
		}()
		io.Copy(io.MultiWriter(first{d}, user), stub)
		user.Close()
	}
}

// first notes that something was written.
type first struct{ d *debugger }

func (f first) Write(p []byte) (int, error) {
	f.d.once.Do(func() { close(f.d.answered) })
	return len(p), nil
}

// invite writes the script, and returns the line to type.
func (d *debugger) invite(vmlinux string, modules []string, sections map[string]proto.Sections, sources string) (string, error) {
	text := d.scriptText(modules, sections, sources)
	if err := os.WriteFile(d.script(), []byte(text), 0o600); err != nil {
		return "", err
	}
	line := "gdb"
	if d.arch != arch.Host {
		line = "gdb-multiarch"
	}
	if vmlinux != "" {
		line += " " + host.Quote(vmlinux)
	}
	return line + " -x " + host.Quote(d.script()), nil
}

func (d *debugger) scriptText(modules []string, sections map[string]proto.Sections, sources string) string {
	var b strings.Builder
	order := "little"
	if d.arch.Big {
		order = "big"
	}
	fmt.Fprintf(&b, "set architecture %s\nset endian %s\nset confirm off\ntarget remote %s\n", d.arch.GDB, order, d.socket())
	for _, file := range modules {
		s, ok := sections[kernels.ModuleName(file)]
		if !ok || s[".text"] == "" {
			continue
		}
		// The name of its directory in the cache ends in that of its build's.
		dir := filepath.Base(filepath.Dir(file))
		fmt.Fprintf(&b, "set substitute-path /build/%s %s\n", dir[strings.LastIndex(dir, "-")+1:], gdbQuote(sources))
		fmt.Fprintf(&b, "add-symbol-file %s %s", gdbQuote(file), s[".text"])
		for _, name := range slices.Sorted(maps.Keys(s)) {
			if name != ".text" && debugged(name) {
				fmt.Fprintf(&b, " -s %s %s", name, s[name])
			}
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintln(&b, "set confirm on")
	return b.String()
}

// debugged are the sections with code and data; what init had is freed.
func debugged(section string) bool {
	for _, s := range []string{".text", ".data", ".bss", ".rodata", ".exit.text"} {
		if section == s || strings.HasPrefix(section, s+".") {
			return true
		}
	}
	return false
}

func gdbQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// awaitDebugger is called when the guest has loaded its modules and waits.
func (s *session) awaitDebugger(m proto.Message) error {
	d := s.debugger
	if d == nil {
		return errors.New("the guest waits, and nobody asked it to")
	}
	line, err := d.invite(s.guest.Kernel.Vmlinux(), s.guest.Modules, m.Sections, s.opts.ModuleDir)
	if err != nil {
		return err
	}
	s.note("the modules are loaded; the command starts when gdb has come and said `continue`:")
	s.note("    %s", line)
	go func() {
		<-d.answered
		s.ctl.Send(proto.Message{Kind: proto.KindGo})
	}()
	return nil
}
