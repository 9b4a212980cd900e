// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// SpecDirs returns the directories in which specs are looked for, as far as they exist:
// those of a kernel's source ($KERNEL_SRC; the source that the running kernel was built
// from; the source around the working directory), the working directory itself, and
// where YNL is installed.
func SpecDirs() (dirs []string) {
	const inSource = "Documentation/netlink/specs"
	candidates := []string{}
	if src := os.Getenv("KERNEL_SRC"); src != "" {
		candidates = append(candidates, filepath.Join(src, inSource))
	}
	if wd, err := os.Getwd(); err == nil {
		candidates = append(candidates, wd)
		for dir := wd; ; dir = filepath.Dir(dir) {
			candidates = append(candidates, filepath.Join(dir, inSource))
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		modules := filepath.Join("/lib/modules", unix.ByteSliceToString(uts.Release[:]))
		candidates = append(candidates, filepath.Join(modules, "source", inSource), filepath.Join(modules, "build", inSource))
	}
	candidates = append(candidates, "/usr/share/ynl/specs", "/usr/local/share/ynl/specs") // tools/net/ynl/Makefile
	for _, dir := range candidates {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// FindSpecs finds the specs that describe the targets, in the first directory that has
// one for them, and reads them. Without a directory it looks in SpecDirs. If there is no
// spec, it returns none.
func FindSpecs(targets []*Target, dirs ...string) (specs []*Spec, err error) {
	if len(dirs) == 0 {
		dirs = SpecDirs()
	}
	wanted := map[string]bool{}
	for _, t := range targets {
		wanted[t.specName()] = true
	}
	found := map[string]string{} // the directory
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
				continue // the working directory may have anything
			}
			name := headOf(file)
			if !wanted[name] || found[name] != "" && found[name] != dir {
				continue
			}
			s, err := ReadSpec(file)
			if err != nil {
				return nil, err
			}
			found[name] = dir
			specs = append(specs, s)
		}
	}
	return specs, nil
}

// specName is what a spec must be for that describes a target: a family, or a protocol.
func (t *Target) specName() string {
	if t.Generic != nil {
		return t.Generic.Name
	}
	return fmt.Sprint("protocol ", t.Protocol)
}

// headOf is the specName that a file is for, without reading all of it; "" if it is not
// a spec.
func headOf(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	name, raw := "", false
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		field, value, _ := strings.Cut(scan.Text(), ":")
		value = strings.TrimSpace(value)
		switch field {
		case "name":
			name = value
		case "protocol":
			raw = value == "netlink-raw"
		case "protonum":
			if raw {
				return "protocol " + value
			}
		case "definitions", "attribute-sets", "operations":
			if raw {
				continue
			}
			return name
		}
	}
	return ""
}
