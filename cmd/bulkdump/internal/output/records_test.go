// SPDX-License-Identifier: BSD-3-Clause

package output

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"bulkdump/client"
)

func TestRecordsAreWrittenWithoutAllocation(t *testing.T) {
	r := &client.Record{ID: 1 << 31, Name: []byte("seven"), Flags: 1 << 31, Value: 1<<64 - 1,
		Payload: bytes.Repeat([]byte("payload"), 100), Stats: client.Stats{Hits: 3, Bytes: 9, Created: time.Unix(1, 2)}, Generation: 12}
	for _, format := range append(slices.Clone(Formats), FormatCount) {
		var out countingWriter
		to := NewStdout(&out, false, nil)
		to.Format = format
		p := NewList(to, Records)
		write := func() {
			if err := p.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		write() // makes the line
		if n := testing.AllocsPerRun(1000, write); n != 0 {
			t.Errorf("%s: got %v allocations for a record, want none", format, n)
		}
		if wrote := out > 0; wrote != (format != FormatCount) {
			t.Errorf("%s: %d bytes written", format, out)
		}
	}
}

// A countingWriter counts the bytes.
type countingWriter int

func (w *countingWriter) Write(b []byte) (int, error) {
	*w += countingWriter(len(b))
	return len(b), nil
}
