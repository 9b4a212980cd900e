// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// candidates makes all mutants of the project below top.
func candidates(top string) ([]*mutant, error) {
	var all []*mutant
	for _, pattern := range []string{"kmod/*.c", "kmod/compare/*.c", "kmod/minimal/*.c", "kmod/minimal/nested/*.c", "client/nldump/*.go"} {
		paths, err := filepath.Glob(filepath.Join(top, pattern))
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("there is no %s", filepath.Join(top, pattern))
		}
		for _, path := range paths {
			name := filepath.Base(path)
			if strings.Contains(name, "_gen.") || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".mod.c") {
				continue
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			file, err := filepath.Rel(top, path)
			if err != nil {
				return nil, err
			}
			if strings.HasSuffix(name, ".c") {
				all = append(all, mutateC(file, string(src))...)
				continue
			}
			made, err := mutateGo(file, string(src))
			if err != nil {
				return nil, err
			}
			all = append(all, made...)
		}
	}
	return identify(all), nil
}

// choose takes n of the mutants: one of each pattern in turn. The seed and the
// mutant's id say which, so a change of the sources hardly alters the choice.
func choose(all []*mutant, n int, seed string) []*mutant {
	byPattern := map[string][]*mutant{}
	for _, m := range all {
		byPattern[m.pattern] = append(byPattern[m.pattern], m)
	}
	var patterns []string
	for p, ms := range byPattern {
		patterns = append(patterns, p)
		slices.SortFunc(ms, func(a, b *mutant) int { return cmp.Compare(rank(seed, a), rank(seed, b)) })
	}
	slices.Sort(patterns)
	var chosen []*mutant
	for n = min(n, len(all)); len(chosen) < n; {
		for _, p := range patterns {
			if ms := byPattern[p]; len(ms) > 0 && len(chosen) < n {
				chosen = append(chosen, ms[0])
				byPattern[p] = ms[1:]
			}
		}
	}
	return chosen
}

func rank(seed string, m *mutant) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(seed+"\n"+m.id)))
}
