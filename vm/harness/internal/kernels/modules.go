// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/cache"
	"bulkdump/vm/harness/internal/host"
)

// makeScript runs make in $2, a directory of the build root $1. /dev and /proc
// are mounted in a mount namespace that ends with the build. The shell stays the
// first process of its PID namespace: in that place make would ignore SIGTERM.
// chroot is in sbin, which a user's PATH lacks.
const makeScript = `set -eu
PATH=$PATH:/usr/sbin:/sbin
root=$1 dir=$2
shift 2
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \
	KBUILD_BUILD_USER=vm KBUILD_BUILD_HOST=vm "GCOV_PROFILE=${GCOV_PROFILE-}" make -j"$(nproc)" -C "$dir" "$@" || exit
`

// makeIn is the command line that runs make in dir, a directory of a build root.
func makeIn(root, dir string, args ...string) []string {
	line := append([]string{"unshare"}, unshareArgs()...)
	return append(append(line, "sh", "-c", makeScript, "sh", root, dir), args...)
}

// OwnChecks are make's arguments for the project's own modules: each warning of
// the compiler and of sparse is an error. Other modules are built as their Kbuild
// says.
func OwnChecks(a *arch.Arch) []string {
	checks := []string{"W=1", "KCFLAGS=-Werror"}
	if a == arch.Host { // sparse does not know all machines
		checks = append(checks, "C=1", "CF=-Wsparse-error")
	}
	return checks
}

// buildRecipe changes when the way a module is built changes.
const buildRecipe = "3"

// Build says which modules are built, and how.
type Build struct {
	Dir     string
	Checks  []string // make's arguments for that
	Make    []string // the user's; they come last
	Counted bool     // count what they execute: see Notes
}

// profile is kbuild's variable in the environment, where the Kbuild of a module
// may overrule it.
func (b Build) profile() string {
	if b.Counted {
		return "GCOV_PROFILE=y"
	}
	return "GCOV_PROFILE=n"
}

// Stripped is the file of the same module without debug symbols, which are nine
// tenths of it. The guest gets this one.
func Stripped(file string) string {
	return filepath.Join(filepath.Dir(file), "guest", filepath.Base(file))
}

// isSource reports whether a module may be built from a file of that name.
func isSource(name string) bool {
	switch filepath.Ext(name) {
	case ".c", ".h", ".S", ".lds":
		return !strings.HasSuffix(name, ".mod.c")
	}
	return strings.HasPrefix(name, "Kbuild") || strings.HasPrefix(name, "Makefile") || name == "Kconfig"
}

// BuildModules builds modules for the kernel, unless the same sources were built
// before. It returns their files in the order of their names.
func BuildModules(ctx context.Context, c *cache.Cache, k *Kernel, b Build) ([]string, error) {
	sources, err := readSources(b.Dir)
	if err != nil {
		return nil, fmt.Errorf("modules to build: %w", err)
	}
	parts := append([]string{buildRecipe, k.identity(), k.Release, b.profile()}, append(slices.Clone(b.Checks), b.Make...)...)
	for _, s := range sources {
		parts = append(parts, s.name, s.text)
	}
	key := cache.Digest(parts...)
	built, err := c.Entry(ctx, "modules-"+k.Release+"-"+key, func(out string) error {
		return runMake(ctx, k, sources, b, key, out)
	})
	if err != nil {
		return nil, fmt.Errorf("build the modules of %s for %s: %w", b.Dir, k.Release, err)
	}
	files, err := filepath.Glob(filepath.Join(built, "*.ko"))
	slices.Sort(files)
	return files, err
}

type source struct{ name, text string }

func readSources(dir string) ([]source, error) {
	var sources []source
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isSource(d.Name()) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		sources = append(sources, source{name, string(text)})
		return err
	})
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(sources, func(s source) bool { return s.name == "Kbuild" || s.name == "Makefile" }) {
		return nil, fmt.Errorf("%s has neither Kbuild nor Makefile: nothing to build a module from", dir)
	}
	return sources, nil
}

func runMake(ctx context.Context, k *Kernel, sources []source, b Build, key, out string) error {
	inside := filepath.Join("/build", key)
	work := filepath.Join(k.root, inside)
	if k.tree {
		work = filepath.Join(out, "build")
	}
	os.RemoveAll(work) // left by a run that was killed
	defer os.RemoveAll(work)
	for _, s := range sources {
		path := filepath.Join(work, s.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(s.text), 0o644); err != nil {
			return err
		}
	}
	objects := inside
	var line []string
	if k.tree {
		var err error
		if objects, err = filepath.EvalSymlinks(work); err != nil { // as the compiler names it
			return err
		}
		if line, err = makeInTree(k, work, b); err != nil {
			return err
		}
	} else {
		config, err := readKconfig(k.configFile())
		if err != nil {
			return err
		}
		args := slices.Concat([]string{"M=" + inside}, k.withoutBTF(), config.compiler(k.Arch), b.Checks, b.Make, []string{"modules"})
		line = makeIn(k.root, "/usr/src/linux-headers-"+k.Release, args...)
	}
	cmd := host.Command(ctx, line[0], line[1:]...)
	cmd.Env = append(cmd.Env, b.profile())
	if err := host.Run(cmd); err != nil {
		return err
	}
	if b.Counted {
		if err := keepNotes(out, work, objects, sources); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(out, "guest"), 0o755); err != nil {
		return err
	}
	return filepath.WalkDir(work, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".ko" {
			return err
		}
		to := filepath.Join(out, d.Name())
		if err := host.CopyFile(to, path); err != nil {
			return err
		}
		rel, err := filepath.Rel(work, path)
		if err != nil {
			return err
		}
		return k.strip(ctx, inside, rel, path, Stripped(to))
	})
}

// withoutBTF is make's argument for another machine than this. Types for BPF would
// need pahole there, and nobody asks for them.
func (k *Kernel) withoutBTF() []string {
	if k.Arch == arch.Host {
		return nil
	}
	return []string{"CONFIG_DEBUG_INFO_BTF_MODULES="}
}

// strip leaves debug symbols out of a file of a build root: inside it is dir/name,
// outside it is file.
func (k *Kernel) strip(ctx context.Context, dir, name, file, to string) error {
	if k.Arch == arch.Host {
		return host.Run(host.Command(ctx, "strip", "--strip-debug", "-o", to, file))
	}
	inside := filepath.Join(dir, name)
	line := append(append([]string{"unshare"}, unshareArgs()...), "sh", "-c", `PATH=$PATH:/usr/sbin:/sbin; exec chroot "$@"`, "sh",
		k.root, "/usr/bin/"+k.Arch.GNU+"-strip", "--strip-debug", "-o", inside+".stripped", inside)
	if err := host.Run(host.Command(ctx, line[0], line[1:]...)); err != nil {
		return err
	}
	return host.CopyFile(to, file+".stripped")
}

// unshareArgs let a program mount what ends with it, as root or in a user
// namespace.
func unshareArgs() []string {
	args := []string{"--mount", "--pid", "--fork", "--kill-child"}
	if os.Getuid() != 0 {
		args = append(args, "--user", "--map-root-user")
	}
	return args
}

// PickModule chooses the module to load before the command: the one that the user
// asked for, or the one named after the project, or the only one. The command may
// load the others.
func PickModule(files []string, asked string) (string, error) {
	var names []string
	for _, f := range files {
		name := ModuleName(f)
		if name == cmp.Or(strings.ReplaceAll(asked, "-", "_"), "bulkdump") {
			return f, nil
		}
		names = append(names, name)
	}
	switch {
	case asked != "":
		return "", fmt.Errorf("--module %s: there is only %s", asked, strings.Join(names, ", "))
	case len(files) == 1:
		return files[0], nil
	}
	return "", fmt.Errorf("which module to load? --module NAME chooses one of %s", strings.Join(names, ", "))
}

// ModuleName is the kernel's name for the module in that file.
func ModuleName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".ko"), "-", "_")
}
