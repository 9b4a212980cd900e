// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
)

// duration is the value of a flag.
type duration struct{ to *time.Duration }

func (d duration) Set(text string) error {
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		return errors.New("must be a time such as 90s or 2h, and not negative")
	}
	*d.to = v
	return nil
}

func (d duration) String() string {
	if *d.to == 0 {
		return "0"
	}
	return d.to.String()
}

func (d duration) Type() string { return "TIME" }

// TimeFlag registers a flag for a time that is not negative. Its default is the
// value of to.
func TimeFlag(cmd *cobra.Command, to *time.Duration, name, usage string) {
	cmd.Flags().Var(duration{to}, name, usage)
}
