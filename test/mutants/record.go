// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A record is what a run leaves, so that a later one need not begin again. It holds
// for one state of the sources and tests.
type record struct {
	path    string
	Digest  string            `json:"digest"`
	Results map[string]result `json:"results"` // by the mutant's id
}

// openRecord reads the record in dir. stale: there is one, of other sources.
func openRecord(dir, digest string) (r *record, stale bool, err error) {
	r = &record{path: filepath.Join(dir, "results.json")}
	text, err := os.ReadFile(r.path)
	if err == nil {
		err = json.Unmarshal(text, r)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", r.path, err)
	}
	if r.Digest != digest {
		stale = len(r.Results) > 0
		r.Digest, r.Results = digest, nil
	}
	if r.Results == nil {
		r.Results = map[string]result{}
	}
	return r, stale, os.MkdirAll(dir, 0o755)
}

// known returns the result of an earlier run, if it went through the same stages.
func (r *record) known(id, lastStage string) (result, bool) {
	res, ok := r.Results[id]
	return res, ok && (res.State != survived || res.Stage == lastStage)
}

// keep writes the record whole, or not at all.
func (r *record) keep(id string, res result) error {
	r.Results[id] = res
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(r.path+".new", r.path)
}

// digest is that of everything which decides whether a mutant is killed.
func digest(top string) (string, error) {
	h := sha256.New()
	for _, dir := range []string{"kmod", "client", "cmd", "vm", "test"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if rel, _ := filepath.Rel(top, path); d.IsDir() && (rel == "test/mutants" || rel == "test/bench" || rel == "kmod/broken") {
				return fs.SkipDir
			}
			switch filepath.Ext(path) {
			case ".go", ".c", ".h", ".config", ".mod", "":
			default:
				return nil
			}
			if d.IsDir() || strings.HasSuffix(path, ".mod.c") || !d.Type().IsRegular() {
				return nil
			}
			text, err := os.ReadFile(path)
			fmt.Fprintf(h, "%s %d\n%s", path[len(top):], len(text), text)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}
