// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"encoding/binary"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// shown is tshark's output for one message: the lines of its headers, by name.
type shown map[string]string

var shownLine = regexp.MustCompile(`(?m)^[ .01]*(?:= )?([A-Z][A-Za-z ]*): (.*)$`)

// decodeCapture decodes a capture with tshark and returns its messages.
func decodeCapture(t *testing.T, file string) (all []shown) {
	t.Helper()
	text, _ := run(t, "tshark", "-r", file, "-V")
	messages := strings.Split(text, "Netlink message header")
	for _, m := range messages[1:] {
		s := shown{}
		for _, line := range shownLine.FindAllStringSubmatch(m, -1) {
			if _, again := s[line[1]]; !again {
				s[line[1]] = line[2]
			}
		}
		all = append(all, s)
	}
	return all
}

// want checks what is shown of a message.
func (s shown) want(t *testing.T, what string, want shown) {
	t.Helper()
	for name, value := range want {
		if s[name] != value {
			t.Errorf("%s: %s is %q, want %q; in all %q", what, name, s[name], value, s)
		}
	}
}

// nlmon captures a dump, and tshark decodes it, with the family's name, each
// record's flags, and DONE at the end.
func TestNlmonShowsADumpDecoded(t *testing.T) {
	c := setup(t)
	if _, err := c.Fill(t.Context(), client.FillOptions{Count: 250, Seed: 2, PayloadMax: 30}); err != nil {
		t.Fatal(err)
	}
	id := family(t).ID
	mon := monitor(t)
	// A new client requests the family, so tshark learns its name.
	own, err := client.Dial(client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	var stats nldump.Stats
	if n := len(collect(t, own, client.DumpOptions{IDFrom: ptr(uint32(1)), Stats: &stats})); n != 249 || stats.Pages < 2 {
		t.Fatalf("%d records on %d pages", n, stats.Pages)
	}
	seen := false
	mon.until(func(packet []byte) bool {
		for len(packet) >= unix.SizeofNlMsghdr {
			typ := binary.NativeEndian.Uint16(packet[4:])
			seen = seen || typ == id
			if seen && typ == unix.NLMSG_DONE {
				return true
			}
			packet = packet[min(len(packet), (int(binary.NativeEndian.Uint32(packet))+3)&^3):]
		}
		return false
	})

	// From all messages, select the dump: its request, and those with its
	// sequence number.
	all := decodeCapture(t, mon.file())
	name := regexp.MustCompile(`^0x[0-9a-f]+ \(bulkdump\)$`)
	for len(all) > 0 && !name.MatchString(all[0]["Family ID"]) {
		all = all[1:]
	}
	if len(all) != 1+249+1 {
		t.Fatalf("tshark shows %d messages from the first of the family on, want 251", len(all))
	}
	request, records, done := all[0], all[1:250], all[250]
	sequence := request["Sequence"]
	request.want(t, "request", shown{"Request": "1", "Specify tree root": "1", "Return all matching": "1", "Multipart message": "0",
		"Command": "1", "Family Version": "1"})
	for _, r := range records {
		if !name.MatchString(r["Family ID"]) {
			t.Errorf("a record is of the family %q", r["Family ID"])
		}
		r.want(t, "record", shown{"Request": "0", "Multipart message": "1", "Dump filtered": "1", "Dump inconsistent": "0",
			"Sequence": sequence, "Command": "1", "Family Version": "1"})
	}
	done.want(t, "end", shown{"Message type": "End of a dump (0x0003)", "Multipart message": "1", "Dump filtered": "1",
		"Dump inconsistent": "0", "Sequence": sequence, "Port ID": records[0]["Port ID"]})
	if records[0]["Port ID"] == "0" || sequence == "0" {
		t.Errorf("port id %q, sequence %q", records[0]["Port ID"], sequence)
	}
}
