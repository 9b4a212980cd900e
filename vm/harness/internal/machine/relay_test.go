// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
)

// trickle is a reader of one byte a time.
type trickle struct{ text string }

func (r *trickle) Read(p []byte) (int, error) {
	if r.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:1], r.text)
	r.text = r.text[n:]
	return n, nil
}

// failing is a writer that takes some bytes, then fails.
type failing struct {
	bytes.Buffer
	room int
	err  error
}

func (w *failing) Write(p []byte) (int, error) {
	if w.Len()+len(p) > w.room {
		return 0, w.err
	}
	return w.Buffer.Write(p)
}

func TestRelay(t *testing.T) {
	left := make(chan string, 4)
	for _, tt := range []struct {
		name string
		to   io.Writer
		want error
	}{
		{"all is well", io.Discard, nil},
		{"the reader left", &leaving{Writer: &failing{room: 3, err: syscall.EPIPE}, left: left}, nil},
		{"the disk is full", &leaving{Writer: &failing{room: 3, err: syscall.ENOSPC}, left: left}, syscall.ENOSPC},
		{"the first disk is full", both{&failing{err: syscall.ENOSPC}, io.Discard}, syscall.ENOSPC},
		{"the second disk is full", both{io.Discard, &failing{err: syscall.ENOSPC}}, syscall.ENOSPC},
		{"the reader left and the disk is full", both{&failing{err: syscall.ENOSPC}, &leaving{Writer: &failing{err: syscall.EPIPE}, left: left}}, syscall.ENOSPC},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int64
			progress := make(chan struct{}, 1)
			err := relay(&trickle{"0123456789"}, tt.to, &n, progress)
			if !errors.Is(err, tt.want) || (err != nil) != (tt.want != nil) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if n.Load() != 10 || len(progress) != 1 {
				t.Errorf("counted %d, progress %d: the guest would wait for ever", n.Load(), len(progress))
			}
		})
	}
}

func TestReadConsoleTellsOfAPanicAtOnce(t *testing.T) {
	text := "[    1.000000] one\r\n[    2.000000] Kernel panic - not syncing: x\r\nlast"
	panicked := make(chan struct{})
	var to bytes.Buffer
	// One byte a time: the words do not come in one piece.
	lines, err := readConsole(&trickle{text}, &to, panicked)
	select {
	case <-panicked:
	default:
		t.Error("no word of the panic")
	}
	want := []string{"[    1.000000] one", "[    2.000000] Kernel panic - not syncing: x", "last"}
	if !slices.Equal(lines, want) || to.String() != text || err != nil {
		t.Errorf("got %q and %q, %v", lines, to.String(), err)
	}
	lines, err = readConsole(&trickle{text}, &failing{err: syscall.ENOSPC}, nil)
	if !slices.Equal(lines, want) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: got %q, %v", lines, err)
	}
}

func TestKmsgLines(t *testing.T) {
	for _, tt := range []struct {
		record string
		want   []string
	}{
		{"6,1,0,-;Linux version", []string{"[    0.000000] Linux version"}},
		{"6,339,98765,-;early", []string{"[    0.098765] early"}},
		{"4,342,12345678901,-,caller=T84;late; with a semicolon", []string{"[12345.678901] late; with a semicolon"}},
		{"6,2,123456789012,c;six digits", []string{"[123456.789012] six digits"}},
		{"6,3,1000000,-;a device\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:00.0", []string{"[    1.000000] a device"}},
		{`4,4,1000000,-;two\x0aBUG: lines`, []string{"[    1.000000] two", "[    1.000000] BUG: lines"}},
		{`4,5,1000000,-;tab\x09 and \x5cx0a and \xc3\xa4`, []string{"[    1.000000] tab\t and \\x0a and ä"}},
		{"no record", []string{"no record"}},
		{"6,1;too few", []string{"6,1;too few"}},
		{"6,1,x,-;no time", []string{"6,1,x,-;no time"}},
	} {
		if got := kmsgLines(tt.record); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.record, got, tt.want)
		}
	}
}
