// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"encoding/json"
	"strings"
	"testing"

	"bulkdump/client"
)

// All commands agree on one entry.
func TestCLIOneEntryThroughAllCommands(t *testing.T) {
	c := setup(t)
	mustRun(t, "new", "7", "seven", "--value", "49", "--payload", "hex:c0ffee")
	want := client.Entry{ID: 7, Name: "seven", Value: 49, Payload: []byte{0xc0, 0xff, 0xee}}
	if e := mustGet(t, c, 7); !sameValues(e, want) {
		t.Errorf("new made %+v, want %+v", e, want)
	}
	mustRun(t, "set", "7", "--flags", "0x10", "--payload", "")
	want.Flags, want.Payload = 0x10, nil
	var got client.Entry
	if err := json.Unmarshal([]byte(mustRun(t, "get", "--name", "seven", "-o", "json")), &got); err != nil {
		t.Fatal(err)
	}
	if !sameValues(got, want) {
		t.Errorf("get printed %+v, want %+v", got, want)
	}
	mustRun(t, "del", "7")
	if s := state(t, c); s.Count != 0 {
		t.Errorf("%d entries after del", s.Count)
	}
	for _, args := range [][]string{{"get", "7"}, {"set", "7", "--value", "1"}, {"del", "7"}} {
		r := bulkdump(t, args...)
		if r.code != 1 || !strings.Contains(r.stderr, "there is no") {
			t.Errorf("bulkdump %s: exit code %d, stderr %q", strings.Join(args, " "), r.code, r.stderr)
		}
	}
}
