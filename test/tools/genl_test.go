// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mdlayher/genetlink"

	"bulkdump/client"
)

// From linux/genetlink.h.
const (
	capDo     = 0x02
	capDump   = 0x04
	capPolicy = 0x08
)

// capabilities returns the capabilities of each operation in the spec. All
// operations have a policy: those without an attribute have one that refuses
// all attributes.
func (s *spec) capabilities() map[uint32]uint64 {
	all := map[uint32]uint64{}
	for _, o := range s.Operations.List {
		caps := uint64(0)
		if o.Do != nil {
			caps |= capDo
		}
		if o.Dump != nil {
			caps |= capDump
		}
		if caps == 0 {
			continue
		}
		all[o.number] = caps | capPolicy
	}
	return all
}

// family returns the family as another library sees it.
func family(t *testing.T) genetlink.Family {
	t.Helper()
	conn, err := genetlink.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f, err := conn.GetFamily(client.FamilyName)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// iproute2's genl shows the family as the spec defines it.
func TestGenlTellsOfTheFamily(t *testing.T) {
	setup(t)
	f := family(t)
	one, _ := run(t, "genl", "ctrl", "get", "name", client.FamilyName)
	if want := fmt.Sprintf("Name: bulkdump\n\tID: %#x  Version: 0x1  header size: 0 ", f.ID); !strings.Contains(one, want) {
		t.Errorf("%q is not in %s", want, one)
	}

	got := map[uint32]uint64{}
	for _, m := range regexp.MustCompile(`ID-0x([0-9a-f]+) *\n\s*Capabilities \(0x([0-9a-f]+)\):`).FindAllStringSubmatch(one, -1) {
		op, _ := strconv.ParseUint(m[1], 16, 32)
		got[uint32(op)], _ = strconv.ParseUint(m[2], 16, 64)
	}
	if want := readSpec(t).capabilities(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("capabilities of the operations: %#x, want %#x", got, want)
	}
	if len(f.Groups) != 1 {
		t.Fatalf("groups %v", f.Groups)
	}
	if want := fmt.Sprintf("#1:  ID-%#x  name: entries", f.Groups[0].ID); !strings.Contains(one, want) {
		t.Errorf("%q is not in %s", want, one)
	}

	// The list of all families shows the same text.
	all, _ := run(t, "genl", "ctrl", "list")
	if !strings.Contains(all, strings.TrimSpace(one)) || !strings.Contains(all, "Name: nlctrl") {
		t.Errorf("the list has not what is told of the family alone:\n%s", all)
	}
}
