// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/cache"
)

// packageSuite is the suite of --packages, on every kernel.
const packageSuite = "trixie"

// notForGuest is what a guest does not use, or gets from the harness.
var notForGuest = append([]string{
	"./etc/apt", "./etc/fstab", "./etc/hostname", "./etc/resolv.conf", "./var/cache", "./var/lib/apt", "./var/lib/dpkg",
}, cache.Documentation...)

// fetchPackages returns the directory that has the packages and their
// dependencies, unpacked and not configured. It also has the busybox that follows
// PATH, which the guest gets only if it needs it.
func fetchPackages(ctx context.Context, c *cache.Cache, a *arch.Arch, names []string) (string, error) {
	what := "--packages " + strings.Join(names, ",")
	if len(names) == 0 {
		what = "the busybox that goes by PATH"
	}
	names = append(slices.Clone(names), busyboxPackage)
	slices.Sort(names)
	return c.Fetch(ctx, cache.Parcel{
		Kind:   "packages" + ofArch(a),
		Arch:   a.Name,
		What:   what,
		Costs:  "a minute",
		Suites: []string{packageSuite},
		Names:  slices.Compact(names),
		Out:    notForGuest,
	})
}

// ofArch is the end of a cache entry's name.
func ofArch(a *arch.Arch) string {
	if a == arch.Host {
		return ""
	}
	return "-" + a.Name
}

// merged is where a package's file is in the guest, where all programs are in
// /bin and all libraries in /lib.
func merged(name string) string {
	for _, dir := range []struct{ from, to string }{
		{"/usr/bin", "/bin"}, {"/usr/sbin", "/bin"}, {"/sbin", "/bin"}, {"/usr/lib", "/lib"}, {"/usr/lib64", "/lib64"},
	} {
		if rest, ok := strings.CutPrefix(name, dir.from); ok && (rest == "" || rest[0] == '/') {
			return dir.to + rest
		}
	}
	return name
}

// packages adds unpacked packages, with or without their busybox.
func (a *archive) packages(root string, busybox bool) error {
	a.link("/usr/lib", "/lib")
	a.link("/usr/lib64", "/lib64")
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		name := "/" + filepath.ToSlash(rel)
		if top, _, _ := strings.Cut(name[1:], "/"); slices.Contains(hidden, top) {
			return filepath.SkipDir
		}
		if name == busyboxFile && !busybox {
			return nil
		}
		if d.Type()&fs.ModeSymlink == 0 {
			return a.add(merged(name), p, d)
		}
		target, err := os.Readlink(p)
		// A relative target would start from another directory.
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		if merged(target) != merged(name) {
			a.link(merged(name), merged(target))
		}
		return err
	})
}
