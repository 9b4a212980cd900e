// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	configs "bulkdump/vm/kernels"

	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/internal/coverage"
)

// CheckCounting reports a kernel that does not count what a module executes,
// before anything is built.
func CheckCounting(name string) error {
	var config kconfig
	if IsTree(name) {
		var err error
		if config, err = readKconfig(filepath.Join(name, ".config")); err != nil {
			return err
		}
	} else if text, err := configs.Config(name); err == nil {
		config = parseKconfig(text)
	} else {
		return fmt.Errorf("kernel %s lacks CONFIG_GCOV_KERNEL=y, as all of Debian's do; debug has it", name)
	}
	switch {
	case config["GCOV_KERNEL"] != "y":
		return fmt.Errorf("the configuration of kernel %s lacks CONFIG_GCOV_KERNEL=y; debug has it", name)
	case config.clang():
		return fmt.Errorf("the kernel of %s was built by clang, whose counters gcov does not read", name)
	}
	return nil
}

// Notes are what the compiler noted about objects that count what they execute:
// gcov needs that to make lines of the counters.
type Notes struct {
	Objects string // the directory where the objects were built, as the kernel knows it
	dir     string // the notes and the sources, in the same tree as the objects
}

// The names in an entry of the cache.
const (
	notesDir    = "notes"
	objectsFile = "objects"
)

// OpenNotes returns the notes about modules that were built with Build.Counted.
func OpenNotes(modules []string) (*Notes, error) {
	entry := filepath.Dir(modules[0])
	objects, err := os.ReadFile(filepath.Join(entry, objectsFile))
	return &Notes{string(objects), filepath.Join(entry, notesDir)}, err
}

// keepNotes puts the notes in work, where modules were built, into out.
func keepNotes(out, work, objects string, sources []source) error {
	dir := filepath.Join(out, notesDir)
	notes, err := notesIn(work)
	if err != nil {
		return err
	}
	if len(notes) == 0 {
		return errors.New("nothing of them counts what it executes: does their Kbuild say GCOV_PROFILE := n?")
	}
	for _, name := range notes {
		text, err := os.ReadFile(filepath.Join(work, name))
		if err != nil {
			return err
		}
		sources = append(sources, source{name, string(text)})
	}
	for _, s := range sources {
		file := filepath.Join(dir, s.name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(s.text), 0o644)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(out, objectsFile), []byte(objects), 0o644)
}

// notesIn returns the names of the files with notes, relative to dir.
func notesIn(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".gcno" {
			return err
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, name)
		return err
	})
	return names, err
}

// Source returns a source that the modules were built from.
func (n *Notes) Source(name string) ([]byte, error) { return os.ReadFile(filepath.Join(n.dir, name)) }

// Lines makes lines of the counters that a guest sent, which are by the name of
// their file. The paths of the files are relative to the modules' directory. An
// object without counters was never loaded.
func (n *Notes) Lines(ctx context.Context, k *Kernel, counters map[string][]byte) (coverage.Files, error) {
	notes, err := notesIn(n.dir)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bulkdump-coverage.")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(n.dir)); err != nil {
		return nil, err
	}
	for name, data := range counters {
		if !slices.Contains(notes, objectNotes(name)) {
			return nil, fmt.Errorf("the guest sent counters of %s, which was not built here", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return nil, err
		}
	}
	files := coverage.Files{}
	for _, name := range notes {
		out, errs, err := k.gcov(ctx, dir, name)
		if errs != "" && !(counters[objectCounters(name)] == nil && strings.HasSuffix(errs, "assuming not executed")) {
			err = errors.Join(err, errors.New(errs))
		}
		if err == nil {
			err = n.add(files, out)
		}
		if err != nil {
			return nil, fmt.Errorf("gcov %s: %w", name, err)
		}
	}
	return files, nil
}

func objectNotes(counters string) string { return strings.TrimSuffix(counters, ".gcda") + ".gcno" }

func objectCounters(notes string) string { return strings.TrimSuffix(notes, ".gcno") + ".gcda" }

// gcov runs the gcov of the compiler that built the kernel and its modules: no
// other reads their notes. It reports counters that do not belong to the notes
// only on its stderr.
func (k *Kernel) gcov(ctx context.Context, dir, notes string) (out []byte, errs string, err error) {
	line := []string{"gcov"}
	if !k.tree {
		lib := filepath.Join(k.root, "usr/lib/x86_64-linux-gnu")
		line = []string{filepath.Join(lib, "ld-linux-x86-64.so.2"), "--inhibit-cache", "--library-path", lib, filepath.Join(k.root, "usr/bin/gcov")}
	}
	cmd := host.Command(ctx, line[0], append(line[1:], "--json-format", "--stdout", notes)...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	err = cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		err = fmt.Errorf("it %w", host.ErrNotInstalled)
	}
	return stdout.Bytes(), strings.TrimSpace(stderr.String()), err
}

// report is what gcov says about an object: gcov(1), --json-format.
type report struct {
	Dir   string `json:"current_working_directory"` // of the compiler
	Files []struct {
		Name  string `json:"file"`
		Lines []struct {
			Number int    `json:"line_number"`
			Count  uint64 `json:"count"`
		} `json:"lines"`
	} `json:"files"`
}

// add adds what gcov says about an object. It leaves out the kernel's headers and
// what is generated. A line may be there several times, because it was inlined.
func (n *Notes) add(files coverage.Files, out []byte) error {
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		return err
	}
	for _, f := range r.Files {
		path := f.Name
		if !filepath.IsAbs(path) {
			path = filepath.Join(r.Dir, path)
		}
		name, err := filepath.Rel(n.Objects, path)
		if err != nil || !filepath.IsLocal(name) {
			continue
		}
		source, err := n.Source(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		file := files.File(name, coverage.Version(source))
		for _, line := range f.Lines {
			file.Count(line.Number, line.Count)
		}
	}
	return nil
}
