// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"
	"testing"

	"bulkdump/vm/internal/proto"
)

func TestParseModules(t *testing.T) {
	const text = `bulkdump 81920 0 - Live 0xffffffffc0a00000 (OE)
crc32c_intel 24576 2 a,b, Live 0xffffffffc0100000
fixed 16384 1 [permanent], Live 0xffffffffc0000000
going 16384 0 - Unloading 0xffffffffc0000000
short 1
`
	want := []loadedModule{{"bulkdump", false}, {"crc32c_intel", false}, {"fixed", true}, {"going", false}}
	if got := parseModules(text); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := parseModules(""); got != nil {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestAwait(t *testing.T) {
	orders := make(chan proto.Message, 4)
	for _, k := range []proto.Kind{proto.KindResize, proto.KindDrained, proto.KindBye} {
		orders <- proto.Message{Kind: k}
	}
	await(orders, proto.KindDrained)
	if n := len(orders); n != 1 {
		t.Errorf("%d words are left, want the one after", n)
	}
	close(orders)
	await(orders, proto.KindStop) // it never comes: the host is gone
}

func TestReadOrdersEndsWithTheHost(t *testing.T) {
	r, w := io.Pipe()
	orders := make(chan proto.Message)
	go readOrders(proto.NewReader(r), orders)
	go func() {
		proto.NewWriter(w).Send(proto.Message{Kind: proto.KindDrained})
		w.Close()
	}()
	var got []proto.Kind
	for m := range orders {
		got = append(got, m.Kind)
	}
	if !slices.Equal(got, []proto.Kind{proto.KindDrained}) {
		t.Errorf("got %q", got)
	}
}

// The copied bytes are counted. An end that was closed on purpose is not an
// error.
func TestCopier(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(r, w *os.File)
	}{
		{"writers are gone", func(r, w *os.File) { w.Close() }},
		{"hung up", func(r, w *os.File) { r.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, w := pipe(t)
			outR, outW := pipe(t)
			c := startCopy(outW, r)
			w.Write([]byte("12345"))
			if _, err := io.ReadFull(outR, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			tt.end(r, w)
			<-c.done
			if c.n != 5 || c.err != nil {
				t.Errorf("%d bytes, %v", c.n, c.err)
			}
		})
	}

	r, w := pipe(t)
	outR, outW := pipe(t)
	outR.Close()
	c := startCopy(outW, r)
	w.Write([]byte("1"))
	<-c.done
	if c.err == nil {
		t.Error("the port failed, and that is no error")
	}
	if _, err := w.Write([]byte("1")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the port failed, and who writes waits for ever: %v", err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for name, mode := range map[string]fs.FileMode{"program": 0o755, "text": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "program")
	for _, tt := range []struct {
		name, want string
		err        error
	}{
		{"program", program, nil},
		{"./program", program, nil},
		{program, program, nil},
		{"program2", "", exec.ErrNotFound},
		{"./program2", "", fs.ErrNotExist},
		{"./text", "", fs.ErrPermission},
	} {
		got, err := find(tt.name, dir)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %q, %v, want %q, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

func TestHangUp(t *testing.T) {
	r1, w1 := pipe(t)
	r2, w2 := pipe(t)
	_, null := pipe(t)
	c := &command{copies: []*copier{startCopy(null, r1), startCopy(null, r2)}}
	c.hangUp("stderr")
	<-c.copies[1].done
	if _, err := w2.Write([]byte("x")); err == nil {
		t.Error("stderr can still be written to")
	}
	if _, err := w1.Write([]byte("x")); err != nil {
		t.Errorf("stdout was closed as well: %v", err)
	}
	c.hangUp("nosuch")
}

func TestUserProcesses(t *testing.T) {
	procs := userProcesses()
	if _, ok := procs[os.Getpid()]; ok {
		t.Error("it would kill itself")
	}
	if os.Getppid() > 1 && procs[os.Getppid()] == "" {
		t.Error("it does not see its parent")
	}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}
