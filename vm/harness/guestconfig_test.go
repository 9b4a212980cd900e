// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bulkdump/vm/internal/proto"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGuestConfig(t *testing.T) {
	k := &kernel{drivers: []string{"/r/virtio_console.ko"}}
	modules := []string{"/m/bulkdump.ko", "/m/other.ko"}
	opts := &guestOptions{args: []string{"ls"}, params: map[string][]string{"bulkdump": {"a=1", "b=2"}}, env: []string{"A=b"}}
	g, err := newGuest(opts, time.Minute, k, modules, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := g.config
	if len(cfg.Token) < 20 {
		t.Errorf("token %q can be guessed", cfg.Token)
	}
	want := &proto.Config{Token: cfg.Token, Control: "/dev/ttyS1", Stdout: "virtio:stdout", Stderr: "virtio:stderr",
		Drivers: []string{"/lib/modules/virtio_console.ko"}, Command: []string{"ls"}, Env: []string{"A=b"}, Dir: "/root",
		Modules: []proto.Module{{Path: "/lib/modules/bulkdump.ko", Params: "a=1 b=2"}}}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v\nwant %+v", cfg, want)
	}

	for name, o := range map[string]*guestOptions{
		"other is not loaded":    {args: []string{"ls"}, params: map[string][]string{"other": {"a=1"}}},
		"nothing is loaded":      {args: []string{"ls"}, params: map[string][]string{"bulkdump": {"a=1"}}, noModule: true},
		"a module of that name?": {args: []string{"ls"}, params: map[string][]string{"bulkdmup": {"a=1"}}},
	} {
		if _, err := newGuest(o, time.Minute, k, modules, nil); err == nil {
			t.Errorf("%s: the parameter is lost in silence", name)
		}
	}

	g, err = newGuest(&guestOptions{args: []string{"ls"}, noModule: true}, time.Minute, &kernel{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg = g.config; cfg.Modules != nil || cfg.Stdout != "/dev/ttyS2" || cfg.Stderr != "/dev/ttyS3" {
		t.Errorf("without virtio and module: %+v, %v", cfg, err)
	}
	g, _ = newGuest(&guestOptions{shell: true, noModule: true}, time.Minute, &kernel{}, nil, nil)
	if cfg = g.config; !cfg.Shell || !slices.Equal(cfg.Command, []string{"sh", "-l"}) {
		t.Errorf("--shell: %+v", cfg)
	}
}

// The test binary's own limit passes first, so that it shows what hangs.
func TestTestCommand(t *testing.T) {
	for _, tt := range []struct {
		limit time.Duration
		opts  guestOptions
		want  string
	}{
		{15 * time.Minute, guestOptions{}, "bulkdump.test -test.v=test2json -test.timeout=14m50s"},
		{20 * time.Second, guestOptions{}, "bulkdump.test -test.v=test2json -test.timeout=20s"},
		{time.Minute, guestOptions{testRegex: "TestA", args: []string{"-test.count=2"}},
			"bulkdump.test -test.v=test2json -test.run=TestA -test.timeout=50s -test.count=2"},
	} {
		if got := strings.Join(testCommand(&tt.opts, tt.limit), " "); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestGuestArgv(t *testing.T) {
	for _, tt := range []struct{ args, want []string }{
		{[]string{"ls"}, []string{"ls"}},
		{[]string{"ls", "-l", "a b"}, []string{"ls", "-l", "a b"}},
		{[]string{"echo $A"}, []string{"sh", "-c", "echo $A"}},
		{[]string{"echo", "a b", "&&", "ls", "it's"}, []string{"sh", "-c", `echo 'a b' && ls 'it'\''s'`}},
		{[]string{"echo", "", "$A", "|", "wc", "-c"}, []string{"sh", "-c", `echo '' '$A' | wc -c`}},
		{[]string{"a&&b"}, []string{"a&&b"}},
		{[]string{"sh", "-c", "a && b"}, []string{"sh", "-c", "a && b"}},
	} {
		if got := guestArgv(tt.args); !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.args, got, tt.want)
		}
	}
}
