// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"errors"
	"io"
	"os"
)

// WriteFile writes a plot. A plot without figures is left out.
func WriteFile(file string, draw func(io.Writer) error) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	err = draw(f)
	if errors.Is(err, ErrNothing) {
		err = os.Remove(file)
	}
	return errors.Join(err, f.Close())
}
