// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"bulkdump/vm/harness/internal/arch"
	configs "bulkdump/vm/kernels"
)

func TestParseKconfig(t *testing.T) {
	got := parseKconfig("# a comment\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_S=\"a=b c\"\nCONFIG_N=n\n# CONFIG_U is not set\n" +
		"CONFIG_A_LONGER=0x10\nCONFIG_TWICE=y\n# CONFIG_TWICE is not set\nCONFIG_AGAIN=n\nCONFIG_AGAIN=y\nnoise\n")
	want := kconfig{"A": "y", "B": "m", "S": `"a=b c"`, "A_LONGER": "0x10", "AGAIN": "y"}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestKconfigDifferences(t *testing.T) {
	fragment := "CONFIG_A=y\nCONFIG_V=5\n# CONFIG_U is not set\nCONFIG_LATER=n\nCONFIG_LATER=y\n# a word\n"
	for _, tt := range []struct {
		config string
		want   []string
	}{
		{"CONFIG_A=y\nCONFIG_V=5\nCONFIG_LATER=y\nCONFIG_MORE=y\n", nil},
		{"CONFIG_V=5\nCONFIG_LATER=y\n", []string{"CONFIG_A=y (it came out unset)"}},
		{"CONFIG_A=m\nCONFIG_V=6\nCONFIG_LATER=y\n", []string{"CONFIG_A=y (it came out as m)", "CONFIG_V=5 (it came out as 6)"}},
		{"CONFIG_A=y\nCONFIG_V=5\nCONFIG_LATER=y\nCONFIG_U=y\n", []string{"# CONFIG_U is not set (it came out as y)"}},
	} {
		if got := parseKconfig(tt.config).differences(fragment); !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.config, got, tt.want)
		}
	}
}

// A kernel that we build is one that can run here, and says what it is.
func TestSourceKernelsCanRunHere(t *testing.T) {
	for _, name := range arch.Host.Source {
		text, err := configs.Config(name)
		if err != nil {
			t.Fatal(err)
		}
		config := parseKconfig(text)
		if lines := config.lacking(); len(lines) > 0 {
			t.Errorf("%s lacks %q", name, lines)
		}
		if want := `"-` + name + `"`; config["LOCALVERSION"] != want {
			t.Errorf("%s calls itself %s", name, config["LOCALVERSION"])
		}
		seen := map[string]bool{}
		for line := range strings.Lines(text) {
			option, _, ok := option(line)
			if ok && seen[option] {
				t.Errorf("%s has CONFIG_%s twice", name, option)
			}
			seen[option] = true
		}
	}
	if _, err := configs.Config("nosuch"); err == nil {
		t.Error("there is a configuration of no kernel")
	}
}
