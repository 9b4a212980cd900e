// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"bulkdump/client"
)

// What comes back from the stream has the checksum that the kernel calculated as it
// filled the table.
func TestKernel(t *testing.T) {
	if os.Getenv("BULKDUMP_GUEST") == "" {
		t.Skip("this runs in a guest only: make vm-arrow")
	}
	c, err := client.Dial(client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	filled, err := c.Fill(t.Context(), client.FillOptions{Count: 100_000, PayloadMin: 0, PayloadMax: 100})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "table.arrows"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var stderr bytes.Buffer
	if code := run(t.Context(), nil, file, &stderr); code != 0 || stderr.Len() > 0 {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	if _, err := file.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	r, err := ipc.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	var sum client.Checksum
	rows := uint32(0)
	for r.Next() {
		b := r.RecordBatch()
		names := b.Column(1).(*array.String)
		payloads := b.Column(4).(*array.Binary)
		for i := range int(b.NumRows()) {
			rows++
			sum.AddEntry(&client.Entry{
				ID: b.Column(0).(*array.Uint32).Value(i), Name: names.Value(i), Flags: b.Column(2).(*array.Uint32).Value(i),
				Value: b.Column(3).(*array.Uint64).Value(i), Payload: payloads.Value(i), Generation: b.Column(9).(*array.Uint64).Value(i),
			})
		}
	}
	if sum != filled.Checksum || rows != filled.Count {
		t.Errorf("%d rows with checksum %v; the kernel made %d with %v", rows, sum, filled.Count, filled.Checksum)
	}
}
