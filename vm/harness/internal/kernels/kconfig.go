// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"fmt"
	"os"
	"strings"

	"bulkdump/vm/harness/internal/arch"
)

// kconfig is a kernel's configuration: the options that are y, m or have a value,
// by name without CONFIG_. It lacks the options that are not set.
type kconfig map[string]string

// parseKconfig reads a .config, or a fragment of one.
func parseKconfig(text string) kconfig {
	c := kconfig{}
	for line := range strings.Lines(text) {
		if name, ok := unset(line); ok {
			delete(c, name) // the last line counts
		} else if name, value, ok := option(line); ok {
			c[name] = value
		}
	}
	return c
}

func readKconfig(file string) (kconfig, error) {
	text, err := os.ReadFile(file)
	return parseKconfig(string(text)), err
}

// option reads CONFIG_NAME=VALUE. Try unset first.
func option(line string) (name, value string, ok bool) {
	line, ok = strings.CutPrefix(strings.TrimSpace(line), "CONFIG_")
	name, value, set := strings.Cut(line, "=")
	return name, value, ok && set
}

// unset reads "# CONFIG_NAME is not set", or CONFIG_NAME=n.
func unset(line string) (name string, ok bool) {
	line = strings.TrimSpace(line)
	name, ok = strings.CutPrefix(line, "# CONFIG_")
	if ok {
		return strings.CutSuffix(name, " is not set")
	}
	name, ok = strings.CutPrefix(line, "CONFIG_")
	if ok {
		return strings.CutSuffix(name, "=n")
	}
	return "", false
}

// differences lists the lines of a fragment that the configuration does not
// follow. make silently drops an option that depends on something unset, that
// something else selects, or that it does not know.
func (c kconfig) differences(fragment string) []string {
	var lines []string
	want := parseKconfig(fragment)
	for line := range strings.Lines(fragment) {
		if name, ok := unset(line); ok {
			if value, is := c[name]; is && want[name] == "" {
				lines = append(lines, fmt.Sprintf("%s (it came out as %s)", strings.TrimSpace(line), value))
			}
			continue
		}
		name, _, ok := option(line)
		switch value, is := c[name]; {
		case !ok || value == want[name]:
		case is:
			lines = append(lines, fmt.Sprintf("%s (it came out as %s)", strings.TrimSpace(line), value))
		default:
			lines = append(lines, strings.TrimSpace(line)+" (it came out unset)")
		}
	}
	return lines
}

// guestNeeds are the options that init and the harness need: of each entry, any
// one.
var guestNeeds = [][]string{
	{"64BIT"}, {"PRINTK"}, {"BLK_DEV_INITRD"}, {"BINFMT_ELF"}, {"FUTEX"}, {"EPOLL"}, {"PROC_FS"}, {"SYSFS"}, {"DEVTMPFS"},
	{"UNIX98_PTYS"}, {"SERIAL_8250_CONSOLE"}, {"PCI"}, {"NET"}, {"INET"}, {"X86_IOPL_IOPERM", "DEVPORT"},
}

// lacking lists the entries of guestNeeds of which nothing is built in.
func (c kconfig) lacking() []string {
	var lines []string
needs:
	for _, any := range guestNeeds {
		for _, name := range any {
			if c[name] == "y" {
				continue needs
			}
		}
		lines = append(lines, "CONFIG_"+strings.Join(any, "=y or CONFIG_")+"=y")
	}
	return lines
}

func (c kconfig) clang() bool { return c["CC_IS_CLANG"] == "y" }

// compiler are make's arguments for the compiler that built, or is to build, the kernel
// of that machine.
func (c kconfig) compiler(a *arch.Arch) []string {
	switch {
	case c.clang():
		return []string{"LLVM=1"}
	case a != arch.Host:
		return []string{"ARCH=" + a.Linux, "CROSS_COMPILE=" + a.GNU + "-"}
	}
	return nil
}
