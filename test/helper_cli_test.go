// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A ran is the result of a program.
type ran struct {
	stdout, stderr string
	code           int
}

// bulkdump runs the CLI.
func bulkdump(t testing.TB, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "bulkdump", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := ran{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	if i := slices.Index(args, "-o"); i > 0 && args[i+1] == "json" && r.code == 0 {
		if err := fitsSchema(t, args[0], r.stdout); err != nil {
			t.Errorf("bulkdump %s: %v", strings.Join(args, " "), err)
		}
	}
	return r
}

var schemas = map[string]*jsonschema.Schema{} // by command

// fitsSchema checks what a command printed against the program's own schema.
func fitsSchema(t testing.TB, command, text string) error {
	t.Helper()
	if schemas[command] == nil {
		schema, err := jsonschema.UnmarshalJSON(strings.NewReader(mustRun(t, "schema", command)))
		if err != nil {
			return err
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource(command, schema); err != nil {
			return err
		}
		if schemas[command], err = c.Compile(command); err != nil {
			return err
		}
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return schemas[command].Validate(value)
}

// mustRun runs the CLI, which must succeed and print nothing on stderr.
func mustRun(t testing.TB, args ...string) string {
	t.Helper()
	r := bulkdump(t, args...)
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("bulkdump %s: exit code %d, stderr %q", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}
