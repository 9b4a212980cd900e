// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestSinks(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	s, err := openSinks(dir, nil, &out, &errs)
	if err != nil {
		t.Fatal(err)
	}
	s.stdout.Write([]byte("out"))
	s.stderr.Write([]byte("err"))
	s.console.Write([]byte("console"))
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if out.String() != "out" || errs.String() != "err" {
		t.Errorf("passed on %q and %q", out.String(), errs.String())
	}
	for name, want := range map[string]string{"stdout": "out", "stderr": "err", "console.log": "console"} {
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if _, err := openSinks(filepath.Join(dir, "nosuch"), nil, &out, &errs); err == nil {
		t.Error("no directory, and that is no error")
	}
}

func TestLeavingTellsOnce(t *testing.T) {
	left := make(chan string, 1)
	w := &leaving{Writer: &failing{room: 3, err: syscall.EPIPE}, name: "stdout", left: left}
	for range 3 {
		if n, err := w.Write([]byte("ab")); n != 2 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
	}
	if len(left) != 1 || <-left != "stdout" {
		t.Error("the one that reads no more is not told")
	}
}

// A reader that is slow gets all. One that has stopped to read holds nothing up
// once there is no time to lose.
func TestOutlet(t *testing.T) {
	t.Run("waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, w := io.Pipe()
			o := NewOutlet("stdout", w)
			s := &sinks{outlets: [2]*Outlet{o, NewOutlet("stderr", io.Discard)}}
			if s.unread() != "" {
				t.Error("nothing is written, and nobody reads it?")
			}
			buf := []byte("text")
			go func() {
				o.Write(buf)
				o.Hurry()
				o.Write(buf)
				w.Close()
			}()
			time.Sleep(time.Hour)
			if got, want := s.unread(), "nobody read stdout for 1h0m0s"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			got := make([]byte, len(buf))
			io.ReadFull(r, got)
			time.Sleep(readerPatience - 1)
			rest, err := io.ReadAll(r)
			if string(got)+string(rest) != "texttext" || err != nil {
				t.Errorf("read %q and %q, %v", got, rest, err)
			}
			if s.unread() != "" {
				t.Errorf("all is read, and %s", s.unread())
			}
		})
	})
	t.Run("hurried", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, w := io.Pipe()
			defer r.Close()
			o := NewOutlet("stdout", w)
			time.AfterFunc(time.Hour, o.Hurry)
			start := time.Now()
			buf := []byte("text")
			for range 3 {
				if n, err := o.Write(buf); n != 4 || err != nil {
					t.Errorf("got %d, %v", n, err)
				}
			}
			if d := time.Since(start); d != time.Hour {
				t.Errorf("it took %v", d)
			}
			copy(buf, "else") // the write that was left goes on
			if _, err := io.ReadFull(r, buf); string(buf) != "text" || err != nil {
				t.Errorf("read %q, %v", buf, err)
			}
		})
	})
	t.Run("hurried before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, w := io.Pipe()
			defer r.Close()
			o := NewOutlet("stdout", w)
			o.Hurry()
			start := time.Now()
			for range 3 {
				o.Write([]byte("text"))
			}
			if d := time.Since(start); d != readerPatience {
				t.Errorf("it took %v", d)
			}
		})
	})
	left := make(chan string, 1)
	w := &leaving{Writer: NewOutlet("stdout", &failing{err: syscall.EPIPE}), name: "stdout", left: left}
	if _, err := w.Write([]byte("x")); err != nil || len(left) != 1 {
		t.Errorf("a reader that left: %v", err)
	}
}

func TestBothWritesToBoth(t *testing.T) {
	var b bytes.Buffer
	both{&failing{err: syscall.ENOSPC}, &b}.Write([]byte("kept"))
	if b.String() != "kept" {
		t.Errorf("the second got %q", b.String())
	}
}
