// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"bulkdump/cmd/dumpcheck/target"
)

// A userChanger is like a command of a user's: add has so many objects, and set is his.
type userChanger struct {
	target.Changer
	most int
	set  func(n int) error
}

func (u userChanger) Add(n int) error {
	if n >= u.most {
		return fmt.Errorf("add %d: %w", n, errors.ErrUnsupported)
	}
	return u.Changer.Add(n)
}

func (u userChanger) Set(n int) error { return u.set(n) }

// What a user's command does not do is no fault of the dump.
func TestGivenChange(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a network namespace")
	}
	nothing := func(int) error { return nil }
	never := func(int) error { return errors.ErrUnsupported }
	for _, tt := range []struct {
		name   string
		most   int
		set    func(int) error
		failed string
		tried  bool // records were changed
	}{
		{"set does nothing", 100, nothing, "the record is as it was: it must get another value each time", true},
		{"no set", 100, never, "", true},
		{"no add", 0, never, "add 0", false},
		{"two objects", 2, never, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			done := make(chan Result, 1)
			go func() { // its thread ends with the namespace
				defer close(done)
				if err := target.OwnNamespace(); err != nil {
					t.Error(err)
					return
				}
				found, err := target.Find(t.Context(), []string{"route", "inet", "getrule"})
				if err != nil || len(found) != 1 {
					t.Errorf("%v, %v", found, err)
					return
				}
				d := found[0]
				if err := d.Fill(300); err != nil {
					t.Error(err)
					return
				}
				d.Changer = userChanger{d.Changer, tt.most, tt.set}
				Run(t.Context(), d, Options{GivenChange: true, Only: func(id string) bool { return id == "change" }}, func(r Result) {
					if r.ID == "change" {
						done <- r
					}
				})
			}()
			r := <-done
			text := ""
			for _, f := range r.Findings {
				text += f.Text + "\n"
			}
			if r.Failed != (tt.failed != "") || !strings.Contains(r.Skipped, tt.failed) || strings.Contains(text, "changed in place") || (len(r.Findings) > 0) != tt.tried {
				t.Errorf("failed is %t, %q, and it found %s", r.Failed, r.Skipped, text)
			}
		})
	}
}
