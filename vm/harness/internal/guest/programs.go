// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/cache"
	"bulkdump/vm/harness/internal/host"
)

// Programs are the Go binaries of a run, and the Debian packages.
type Programs struct {
	arch        *arch.Arch
	init        string
	bin         []string // go into the guest's /bin under their own names
	test        string   // the compiled tests, or empty
	testDir     string   // where they are: ./test, or --test-dir
	TestPackage string   // its import path
	testFiles   []string // its test files, as this build has them
	packages    string   // the directory of Debian's packages, or empty
	busybox     string   // a static one
	byPath      bool     // the busybox of the packages is used

	text map[string][]byte // what the files above held when they were built
	work string            // go's temporary files, while they are built
}

// goPackage is what the harness needs of `go list -json`.
type goPackage struct {
	Dir, ImportPath, Name     string
	TestGoFiles, XTestGoFiles []string
}

// BuildPrograms builds the programs of a run and fetches its packages.
func BuildPrograms(ctx context.Context, c *cache.Cache, opts *Options) (*Programs, error) {
	p, err := buildOwn(ctx, c, opts)
	if err != nil {
		return nil, err
	}
	if p.busybox, err = staticBusybox(ctx, c, opts.Arch); err != nil {
		return nil, err
	}
	if p.byPath, err = hidesPrograms(p, opts.Adds); err != nil {
		return nil, err
	}
	if p.byPath || len(opts.Packages) > 0 {
		if p.packages, err = fetchPackages(ctx, c, opts.Arch, opts.Packages); err != nil {
			return nil, err
		}
	}
	if !p.byPath && p.packages != "" {
		p.byPath, err = hidesPackages(p, opts.Packages)
	}
	return p, err
}

// buildOwn builds init, the commands and, for a test run, the tests. Go's own
// cache knows what is up to date. The binaries are in a directory for this source
// tree, and are read under its lock.
func buildOwn(ctx context.Context, c *cache.Cache, opts *Options) (*Programs, error) {
	p := &Programs{arch: opts.Arch, testDir: opts.TestDir}
	name := "bin-" + cache.Digest(opts.Top, opts.Arch.Name)
	unlock, err := c.Lock(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	dir := c.Path(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// go leaves files behind when it is killed.
	if p.work, err = os.MkdirTemp("", "bulkdump-build."); err != nil {
		return nil, err
	}
	defer os.RemoveAll(p.work)
	// The tests may be in another module, whose programs are built, too.
	own := []string{"./vm/init", "./cmd/..."}
	if opts.TestDir == opts.OwnTests() {
		own = append(own, "./test/...")
	} else if err := p.build(ctx, opts.TestDir, dir, "./..."); err != nil {
		return nil, err
	}
	if err := p.build(ctx, opts.Top, dir, own...); err != nil {
		return nil, err
	}
	if opts.Test {
		if len(p.testFiles) == 0 {
			return nil, fmt.Errorf("%s has no tests", opts.TestDir)
		}
		p.test = filepath.Join(dir, "bulkdump.test")
		overlay, err := markTests(p.testFiles, filepath.Join(dir, "marked"))
		if err != nil {
			return nil, fmt.Errorf("mark the tests: %w", err)
		}
		if err := host.Run(p.goTool(ctx, opts.TestDir, "test", "-c", "-trimpath", "-overlay", overlay, "-ldflags=-s -w", "-o", p.test, ".")); err != nil {
			return nil, fmt.Errorf("build the tests: %w", err)
		}
	}
	return p, p.freeze()
}

// build builds the programs among the packages of a module. It finds the tests if
// they are in one of the packages.
func (p *Programs) build(ctx context.Context, module, dir string, patterns ...string) error {
	pkgs, err := p.goList(ctx, module, patterns...)
	if err != nil {
		return err
	}
	args := []string{"build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", dir + "/"}
	none := len(args)
	for _, pkg := range pkgs {
		if pkg.Name == "main" {
			args = append(args, pkg.ImportPath)
			file := filepath.Join(dir, filepath.Base(pkg.ImportPath))
			if strings.HasSuffix(pkg.ImportPath, "/vm/init") {
				p.init = file
			} else {
				p.bin = append(p.bin, file)
			}
		}
		if pkg.Dir == p.testDir && p.TestPackage == "" { // a package of cmd/ is listed twice
			p.TestPackage = pkg.ImportPath
			for _, f := range append(pkg.TestGoFiles, pkg.XTestGoFiles...) {
				p.testFiles = append(p.testFiles, filepath.Join(pkg.Dir, f))
			}
		}
	}
	if len(args) == none {
		return nil
	}
	if err := host.Run(p.goTool(ctx, module, args...)); err != nil {
		return fmt.Errorf("build the guest's programs: %w", err)
	}
	return nil
}

// freeze reads the binaries while the lock keeps other runs from replacing them.
func (p *Programs) freeze() error {
	all := append([]string{p.init}, p.bin...)
	if p.test != "" {
		all = append(all, p.test)
	}
	p.text = map[string][]byte{}
	for _, f := range all {
		text, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		p.text[f] = text
	}
	return nil
}

func (p *Programs) goTool(ctx context.Context, top string, args ...string) *exec.Cmd {
	cmd := host.Command(ctx, "go", args...)
	cmd.Dir = top
	cmd.Env = append(cmd.Env, "GOTMPDIR="+p.work, "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=")
	cmd.Env = append(cmd.Env, p.arch.Go...)
	return cmd
}

// goList lists the packages of patterns. A pattern may match nothing.
func (p *Programs) goList(ctx context.Context, top string, patterns ...string) ([]goPackage, error) {
	cmd := p.goTool(ctx, top, append([]string{"list", "-e", "-json=Dir,ImportPath,Name,TestGoFiles,XTestGoFiles"}, patterns...)...)
	text, err := host.Output(cmd)
	if err != nil {
		return nil, err
	}
	var pkgs []goPackage
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, err
		}
		pkgs = append(pkgs, p)
	}
}
