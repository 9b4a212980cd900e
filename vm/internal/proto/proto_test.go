// SPDX-License-Identifier: BSD-3-Clause

package proto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	want := []Message{
		{Kind: KindHello, Text: "6.1.0-50-amd64"},
		{Kind: KindKmsg, Text: "6,1,0,-;a \"quoted\"\nline \x01"},
		{Kind: KindExit, Status: 7},
		{Kind: KindExit, Signal: 9},
		{Kind: KindOutput, Stdout: 1 << 40, Stderr: 3},
		{Kind: KindTaint, Taint: 1 << 12},
		{Kind: KindResize, Size: &Winsize{Rows: 24, Cols: 80}},
	}
	var buf bytes.Buffer
	w := NewWriter(&buf)
	for _, m := range want {
		if err := w.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if n := bytes.Count(buf.Bytes(), []byte("\n")); n != len(want) {
		t.Fatalf("%d lines for %d messages", n, len(want))
	}
	r := NewReader(&buf)
	for i, m := range want {
		got, err := r.Next()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("message %d: got %+v, want %+v", i, got, m)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v, want EOF", err)
	}
}

func TestReaderRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"noise":    "Segmentation fault\n",
		"no kind":  "{\"text\":\"done\"}\n",
		"cut off":  "{\"kind\":\"done\"}",
		"half":     "{\"kind\":\"do\n",
		"not JSON": "\x00\x00{\"kind\":\"done\"}\n",
	} {
		if m, err := NewReader(strings.NewReader(in)).Next(); err == nil {
			t.Errorf("%s: accepted as %+v", name, m)
		} else if errors.Is(err, io.EOF) {
			t.Errorf("%s: taken for a clean end", name)
		}
	}
}

func TestLinesStayWhole(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(&buf)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				w.Send(Message{Kind: KindNote, Text: fmt.Sprint(i, j)})
			}
		})
	}
	wg.Wait()
	r := NewReader(&buf)
	for n := range 400 {
		if _, err := r.Next(); err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
	}
}

// No other end of QEMU may look like the guest's exit.
func TestExitCodeIsDistinct(t *testing.T) {
	if c := DebugExitCode; c <= 1 || c >= 128 {
		t.Errorf("exit code %d is not distinct", c)
	}
}
