// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// resultFiles are all the files that --out may leave.
var resultFiles = []string{"stdout", "stderr", "console.log", "kernel.log", "verdict.txt", "test.json", "junit.xml", "results.ktap", "summary.json"}

// clearResults makes the directory, and leaves nothing of an earlier run that
// could be taken for this one's.
func Clear(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	var errs []error
	for _, name := range resultFiles {
		if err := os.Remove(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// writeResults writes what is known only at the end.
func Write(dir string, o *Outcome) error {
	write := func(name, text string) error {
		return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
	}
	_, line := o.Verdict()
	errs := []error{
		write("kernel.log", strings.Join(o.Kmsg, "\n")+"\n"),
		write("verdict.txt", line+"\n"),
		write("summary.json", o.summary().JSON()),
	}
	if o.Suite != nil {
		errs = append(errs, write("test.json", o.Suite.json.String()))
		text, err := junit(o.Suite)
		errs = append(errs, err, write("junit.xml", text), write("results.ktap", ktap(o.Suite)))
	}
	return errors.Join(errs...)
}
