// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The i-th object has its own name, number and addresses, so its mark is
// nowhere else in a dump.
const firstID = 0x05eed001

func objectID(i int) uint32    { return firstID + uint32(i) }
func objectPort(i int) uint16  { return 0x5e00 + uint16(i) }
func objectLabel(i int) uint32 { return 0x77001 + uint32(i) }
func objectMAC(i int) []byte {
	return append([]byte{2, 0x77, 0x5e, 0xed}, binary.BigEndian.AppendUint16(nil, uint16(i))...)
}
func objectIP6(i int) []byte {
	return binary.BigEndian.AppendUint32([]byte{0xfd, 0x77, 11: 0}, objectID(i))
}

func markName(i int) []byte { return fmt.Appendf(nil, "t%03d", i) }
func markID(i int) []byte   { return binary.NativeEndian.AppendUint32(nil, objectID(i)) }
func markIP(i int) []byte   { return address("10.77.0.1", i) }
func markKey(i int) []byte  { return slices.Repeat(objectMAC(i)[2:], 8) }

// expand inserts the i-th object into a line.
func expand(line string, i int) string {
	ip6 := objectIP6(i)
	return strings.NewReplacer(
		"{name}", string(markName(i)),
		"{key}", base64.StdEncoding.EncodeToString(markKey(i)),
		"{label}", strconv.Itoa(int(objectLabel(i))),
		"{long}", strings.Repeat("x", 200),
		"{i}", strconv.Itoa(i+1),
		"{hex}", strconv.FormatInt(int64(i+1), 16),
		"{id}", strconv.Itoa(int(objectID(i))),
		"{ip}", address("10.77.0.1", i).String(),
		"{group}", address("239.77.0.1", i).String(),
		"{ip6}", fmt.Sprintf("fd77::%x:%x", ip6[12:14], ip6[14:]),
		"{port}", strconv.Itoa(int(objectPort(i))),
		"{mac}", net.HardwareAddr(objectMAC(i)).String(),
	).Replace(line)
}

// batches are the options with which a program reads its commands from a file.
var batches = map[string]string{
	"ip": "-batch", "bridge": "-batch", "tc": "-batch", "nft": "-f", "ipset": "restore -file", "conntrack": "-R",
}

// runLines runs commands. It runs consecutive commands of the same program
// together.
func runLines(t *testing.T, all []string) {
	t.Helper()
	for len(all) > 0 {
		name := program(all[0])
		n := slices.IndexFunc(all, func(l string) bool { return program(l) != name })
		if n < 0 {
			n = len(all)
		}
		runBatch(t, strings.Fields(name), all[:n])
		all = all[n:]
	}
}

// program returns what a line starts with. For example, ip -6 counts as a
// program of its own.
func program(line string) string {
	f := strings.Fields(line)
	if f[0] == "ip" && strings.HasPrefix(f[1], "-") {
		return f[0] + " " + f[1]
	}
	return f[0]
}

func runBatch(t *testing.T, name, all []string) {
	t.Helper()
	flags, ok := batches[name[0]]
	switch {
	case name[0] == "wg": // takes many peers in one command
		args := []string{"set", "wg0"}
		for _, l := range all {
			args = append(args, strings.Fields(l)[3:]...)
		}
		run(t, "wg", args...)
	case ok && (len(all) > 1 || name[0] == "ipset"): // -exist makes it crash otherwise
		var text strings.Builder
		for _, l := range all {
			text.WriteString(strings.TrimPrefix(l, strings.Join(name, " ")+" ") + "\n")
		}
		file := t.TempDir() + "/batch"
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, name[0], slices.Concat(name[1:], strings.Fields(flags), []string{file})...)
	default:
		for _, l := range all {
			run(t, name[0], strings.Fields(l)[1:]...)
		}
	}
}
