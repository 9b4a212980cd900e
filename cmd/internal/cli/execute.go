// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"bytes"
	"context"
	"io"

	"github.com/spf13/cobra"
)

// Execute executes a command line, and returns its command. Helped tells whether that
// was asked for its help, which is written to stdout. The library would drop the error
// of that.
func Execute(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) (cmd *cobra.Command, helped bool, err error) {
	var help bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&help)
	root.SetErr(stderr)
	cmd, err = root.ExecuteContextC(ctx)
	if err == nil && help.Len() > 0 {
		_, err = stdout.Write(help.Bytes())
		return cmd, true, err
	}
	return cmd, false, err
}
