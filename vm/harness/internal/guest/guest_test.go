// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/internal/proto"
)

func TestGuestConfig(t *testing.T) {
	k := &kernels.Kernel{Arch: arch.Host, Virtio: true, Drivers: []kernels.OwnModule{{Name: "virtio_console"}}}
	modules := []string{"/m/bulkdump.ko", "/m/other.ko"}
	opts := &Options{Args: []string{"ls"}, Params: map[string][]string{"bulkdump": {"a=1", "b=2"}}, Env: []string{"A=b"}}
	g, err := New(opts, time.Minute, k, modules, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := g.Config
	if len(cfg.Token) < 20 {
		t.Errorf("token %q can be guessed", cfg.Token)
	}
	want := &proto.Config{Token: cfg.Token, Control: "/dev/ttyS1", Stdout: "virtio:stdout", Stderr: "virtio:stderr",
		Drivers: []string{"/lib/modules/virtio_console.ko"}, Command: []string{"ls"}, Env: []string{"A=b"}, Dir: "/root",
		Modules: []proto.Module{{Path: "/lib/modules/bulkdump.ko", Params: "a=1 b=2"}}}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v\nwant %+v", cfg, want)
	}

	for name, o := range map[string]*Options{
		"other is not loaded":    {Args: []string{"ls"}, Params: map[string][]string{"other": {"a=1"}}},
		"nothing is loaded":      {Args: []string{"ls"}, Params: map[string][]string{"bulkdump": {"a=1"}}, NoModule: true},
		"a module of that name?": {Args: []string{"ls"}, Params: map[string][]string{"bulkdmup": {"a=1"}}},
	} {
		if _, err := New(o, time.Minute, k, modules, nil); err == nil {
			t.Errorf("%s: the parameter is lost in silence", name)
		}
	}

	g, err = New(&Options{Args: []string{"ls"}, NoModule: true}, time.Minute, &kernels.Kernel{Arch: arch.Host}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg = g.Config; cfg.Modules != nil || cfg.Stdout != "/dev/ttyS2" || cfg.Stderr != "/dev/ttyS3" {
		t.Errorf("without virtio and module: %+v, %v", cfg, err)
	}
	g, _ = New(&Options{Shell: true, NoModule: true}, time.Minute, &kernels.Kernel{Arch: arch.Host}, nil, nil)
	if cfg = g.Config; !cfg.Shell || !slices.Equal(cfg.Command, []string{"sh", "-l"}) {
		t.Errorf("--shell: %+v", cfg)
	}
}

// The test binary's own limit passes first, so that it shows what hangs.
func TestTestCommand(t *testing.T) {
	for _, tt := range []struct {
		limit time.Duration
		opts  Options
		want  string
	}{
		{15 * time.Minute, Options{}, "bulkdump.test -test.v=test2json -test.timeout=14m50s"},
		{20 * time.Second, Options{}, "bulkdump.test -test.v=test2json -test.timeout=20s"},
		{time.Minute, Options{TestRegex: "TestA", Args: []string{"-test.count=2"}},
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
