// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	configs "bulkdump/vm/kernels"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/cache"
	"bulkdump/vm/harness/internal/host"
)

// takesLong reports whether a kernel is built only if it is asked for by its name:
// clang is slow, and so is a guest of another machine.
func takesLong(name string) bool { return name == "kmsan" || name == "64k" }

// sourcePackage is the newest source that Debian has, in the last of sourceSuites.
const sourcePackage = "linux-source-7.3"

var sourceSuites = []string{"trixie", "trixie-backports"}

// sourcePackages are what a kernel is built with, besides rootPackages.
var sourcePackages = []string{
	sourcePackage, "libelf-dev", "zlib1g-dev", "libc6-dev", "flex", "bison", "m4", "bc", "xz-utils", "tar", "gzip", "diffutils", "gawk", "cpio",
}

// clangPackages are what a kernel is built with, too, whose configuration says
// CONFIG_CC_IS_CLANG=y.
var clangPackages = []string{"clang", "lld", "llvm"}

// sourceRecipe changes when the way a kernel is built changes.
const sourceRecipe = "1"

// sourceRoot returns a root with the compiler and the packed source, which all
// kernels of that compiler share. identity changes with the source and with the
// compiler.
func sourceRoot(ctx context.Context, c *cache.Cache, a *arch.Arch, clang bool) (root, identity string, err error) {
	kind, costs, names, out := "source", "half a minute and 500 MB", slices.Concat(rootPackages, sourcePackages), cache.NotForBuild
	switch {
	case clang:
		kind, costs, names, out = "source-clang", "a minute and 1300 MB", append(names, clangPackages...), cache.Documentation
	case a != arch.Host:
		kind, names = "source-"+a.Name, append(names, "gcc-"+a.GNU)
	}
	root, err = c.Fetch(ctx, cache.Parcel{
		Kind:   kind,
		Recipe: rootRecipe + sourceRecipe,
		What:   sourcePackage + " and its compiler",
		Costs:  costs,
		Suites: sourceSuites,
		Names:  names,
		Out:    out,
		Finish: func(dir string) error {
			if err := configureRoot(dir); err != nil {
				return err
			}
			return writeIdentity(dir)
		},
	})
	if err != nil {
		return "", "", err
	}
	text, err := os.ReadFile(filepath.Join(root, identityFile))
	return root, string(text), err
}

// identityFile holds the digest of the source and the compiler.
const identityFile = "identity"

func writeIdentity(root string) error {
	compilers, _ := filepath.Glob(filepath.Join(root, "usr/libexec/gcc*/*/*/cc1"))
	if len(compilers) == 0 {
		return fmt.Errorf("%s has no compiler", root)
	}
	clang, _ := filepath.Glob(filepath.Join(root, "usr/lib/*/libclang-cpp.so.*"))
	h := sha256.New()
	for _, file := range slices.Concat([]string{sourceTar(root)}, compilers, clang) {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, identityFile), []byte(hex.EncodeToString(h.Sum(nil))), 0o644)
}

func sourceTar(root string) string {
	return filepath.Join(root, "usr/src", sourcePackage+".tar.xz")
}

// sourceKernel returns the root of the kernel of that name. It looks like a root
// of Debian's: the image and the kernel with its symbols in boot/, what modules
// are built with in usr/src, and the compiler.
func sourceKernel(ctx context.Context, c *cache.Cache, a *arch.Arch, name string) (string, error) {
	fragment, err := configs.Config(name)
	if err != nil {
		return "", err
	}
	asked := parseKconfig(fragment)
	root, identity, err := sourceRoot(ctx, c, a, asked.clang())
	if err != nil {
		return "", err
	}
	return c.Entry(ctx, "kernel-"+name+"-"+cache.Digest(sourceRecipe, identity, fragment), func(dir string) error {
		if err := buildKernel(ctx, c, a, name, root, fragment, dir); err != nil {
			return fmt.Errorf("build kernel %s: %w", name, err)
		}
		return nil
	})
}

// buildLimit is long enough for a slow machine that is busy.
const buildLimit = 2 * time.Hour

func buildKernel(ctx context.Context, c *cache.Cache, a *arch.Arch, name, root, fragment, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	start := time.Now()
	minutes, asked := "ten minutes", parseKconfig(fragment)
	if asked.clang() {
		minutes = "half an hour"
	}
	c.Note("building kernel %s from %s: once; with two processors about %s; 4 GB meanwhile, then 300 MB", name, sourcePackage, minutes)
	// The files are hard links to the shared root: nothing writes to them.
	if err := host.Run(host.Command(ctx, "cp", "-al", root+"/.", dir)); err != nil {
		return err
	}
	if err := os.Remove(sourceTar(dir)); err != nil {
		return err
	}
	if err := host.Run(host.Command(ctx, "tar", "-xJf", sourceTar(root), "-C", filepath.Join(dir, "usr/src"), "--no-same-owner")); err != nil {
		return err
	}
	src := filepath.Join(dir, "usr/src", sourcePackage)
	if err := os.WriteFile(filepath.Join(src, "asked.config"), []byte(fragment), 0o644); err != nil {
		return err
	}
	if err := makeKernel(ctx, dir, append(asked.compiler(a), "KCONFIG_ALLCONFIG=asked.config", "allnoconfig")); err != nil {
		return err
	}
	config, err := readKconfig(filepath.Join(src, ".config"))
	if err != nil {
		return err
	}
	if lines := config.differences(fragment); len(lines) > 0 {
		return fmt.Errorf("%d lines of its configuration did not come out as asked:\n\t%s", len(lines), strings.Join(lines, "\n\t"))
	}
	c.Note("unpacked and configured; compiling kernel %s", name)
	// This kernel has no modules: the target is for Module.symvers.
	if err := makeKernel(ctx, dir, append(config.compiler(a), filepath.Base(a.Image), "modules")); err != nil {
		return err
	}
	release, err := installKernel(a, dir, src)
	if err != nil {
		return err
	}
	c.Note("built kernel %s (%s) in %s", name, release, time.Since(start).Round(time.Second))
	return nil
}

// makeKernel runs make in the kernel source of a root. A build takes long, so it
// lets other processes go first.
func makeKernel(ctx context.Context, root string, args []string) error {
	return host.Run(host.Command(ctx, "nice", append([]string{"-n", "10"}, makeIn(root, "/usr/src/"+sourcePackage, args...)...)...))
}

// installKernel moves the kernel to where openKernel looks. Of the source it keeps
// what modules are built with, a twentieth.
func installKernel(a *arch.Arch, dir, src string) (release string, err error) {
	text, err := os.ReadFile(filepath.Join(src, "include/config/kernel.release"))
	if err != nil {
		return "", err
	}
	release = strings.TrimSpace(string(text))
	if err := os.MkdirAll(filepath.Join(dir, "boot"), 0o755); err != nil {
		return "", err
	}
	kept := filepath.Join(dir, "usr/src/linux-headers-"+release)
	for from, to := range map[string]string{
		a.Image:   filepath.Join(dir, "boot/vmlinuz-"+release),
		"vmlinux": filepath.Join(dir, "boot/vmlinux"),
	} {
		if err := os.Rename(filepath.Join(src, from), to); err != nil {
			return "", err
		}
	}
	machine := filepath.Dir(filepath.Dir(a.Image))
	needs := append([]string{machine + "/Makefile*", machine + "/include"}, moduleBuildNeeds...)
	if a == arch.Host {
		needs = append(needs, "tools/objtool/objtool")
	}
	for _, name := range needs {
		files, _ := filepath.Glob(filepath.Join(src, name))
		if len(files) == 0 {
			return "", fmt.Errorf("the kernel's build left no %s", name)
		}
		for _, file := range files {
			rel, _ := filepath.Rel(src, file)
			to := filepath.Join(kept, rel)
			if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.Rename(file, to)); err != nil {
				return "", err
			}
		}
	}
	return release, os.RemoveAll(src)
}

// moduleBuildNeeds are the files of a kernel's tree that make M= reads, besides those
// of the machine.
var moduleBuildNeeds = []string{
	".config", "Makefile", "Kbuild", "Module.symvers", "scripts", "include",
}
