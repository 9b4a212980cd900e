// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/target"
)

// outcome is a reader's result of a dump: each record as type, flags and
// payload, in order, and how the dump ended.
type outcome struct {
	records     [][]byte
	errno       syscall.Errno
	interrupted bool
	pages       int
	text        string // of the error, if any

	// Only the reader in C reports these.
	multi   int  // records with NLM_F_MULTI
	empty   int  // datagrams without a byte
	ownSeq  bool // each message had the request's sequence number
	ownPort bool // and its socket's port id
}

// patience limits one dump. The kernel builds each page within a system call.
const patience = 60 * time.Second

// readerInC is the program that was copied to the guest (c/reader.c).
const readerInC = "every-reader"

// errCut means that a page is larger than the buffer.
var errCut = errors.New("page larger than the buffer")

// readC reads a dump with the reader in C, into a buffer of that many bytes.
func readC(d *target.Target, buffer int) (o outcome, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, readerInC, strconv.Itoa(d.Protocol), strconv.Itoa(int(d.Request.Type)),
		strconv.Itoa(buffer), fmt.Sprintf("%x", d.Request.Data))
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 3 {
		return o, errCut
	} else if err != nil {
		return o, fmt.Errorf("%s: %w: %s", readerInC, err, &errs)
	}
	var records, interrupted, errno, seq, port int
	if _, err := fmt.Sscan(errs.String(), &records, &o.pages, &o.multi, &interrupted, &o.empty, &errno, &seq, &port); err != nil {
		return o, fmt.Errorf("%s said %q: %w", readerInC, &errs, err)
	}
	o.errno, o.interrupted, o.ownSeq, o.ownPort = syscall.Errno(errno), interrupted != 0, seq != 0, port != 0
	for b := out.Bytes(); len(b) > 0; {
		n := int(binary.NativeEndian.Uint32(b))
		record := slices.Concat(b[4:8], b[unix.SizeofNlMsghdr:n])
		o.records = append(o.records, record)
		b = b[(n+3)&^3:]
	}
	if len(o.records) != records {
		return o, fmt.Errorf("%s counts %d records, and printed %d", readerInC, records, len(o.records))
	}
	return o, nil
}

// readGo reads a dump with a stream.
func readGo(s *nldump.Stream, row *target.Target, unaddressed bool) (o outcome, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := nldump.Dump{
		Request:     row.Request,
		Unaddressed: unaddressed,
		NoAck:       row.NoAck,
	}
	for m, err := range s.Dump(ctx, d) {
		var refused *nldump.KernelError
		switch {
		case errors.Is(err, nldump.ErrInterrupted):
			o.interrupted = true
		case errors.As(err, &refused):
			o.errno, o.text = refused.Errno, refused.Error()
		case errors.Is(err, nldump.ErrTruncated):
			return o, errCut
		case err != nil:
			return o, err
		default:
			record := binary.NativeEndian.AppendUint16(nil, m.Type)
			record = binary.NativeEndian.AppendUint16(record, m.Flags)
			o.records = append(o.records, append(record, m.Data...))
		}
	}
	o.pages = int(s.Stats().Pages)
	return o, nil
}

// The buffers: one that holds any page, and the smallest.
const (
	large = 1 << 20
	small = nldump.MinBufferSize
)

// A way is a way to read with package nldump. The result must be that of the
// reader in C with the same buffer.
type way struct {
	name   string
	buffer int
	used   bool // the stream has read a dump before
}

var ways = []way{{name: "fresh", buffer: large}, {name: "used", buffer: large, used: true}}

func (w way) read(row *target.Target, unaddressed bool) (o outcome, err error) {
	s, err := nldump.Dial(row.Protocol, nldump.Config{BufferSize: w.buffer})
	if err != nil {
		return o, err
	}
	defer s.Close()
	if w.used {
		if _, err := readGo(s, row, unaddressed); err != nil {
			return o, fmt.Errorf("first dump: %w", err)
		}
	}
	return readGo(s, row, unaddressed)
}

// differ returns how two outcomes differ, or "". It compares records as a
// multiset.
func (o outcome) differ(other outcome, same func([]byte) []byte) string {
	if o.errno != other.errno {
		return fmt.Sprintf("errno %d, want %d", other.errno, o.errno)
	}
	if o.interrupted != other.interrupted {
		return fmt.Sprintf("interrupted: %t, want %t", other.interrupted, o.interrupted)
	}
	counts := map[string]int{}
	for _, r := range o.records {
		counts[string(same(r))]++
	}
	for _, r := range other.records {
		counts[string(same(r))]--
	}
	delete(counts, "") // records that are not compared
	var diff []string
	for r, n := range counts {
		if n > 0 {
			diff = append(diff, fmt.Sprintf("%d missing: %x", n, r))
		} else if n < 0 {
			diff = append(diff, fmt.Sprintf("%d too many: %x", -n, r))
		}
	}
	if len(diff) == 0 {
		return ""
	}
	slices.SortFunc(diff, func(a, b string) int { // puts equal records in adjacent lines
		return strings.Compare(a[strings.Index(a, ":"):], b[strings.Index(b, ":"):])
	})
	return fmt.Sprintf("%d records, want %d; %d differ:\n\t%s", len(other.records), len(o.records), len(diff), strings.Join(diff[:min(len(diff), 4)], "\n\t"))
}

// largest returns the size of the largest record, with its netlink header.
func (o outcome) largest() (n int) {
	for _, r := range o.records {
		n = max(n, unix.SizeofNlMsghdr+len(r)-4)
	}
	return n
}
