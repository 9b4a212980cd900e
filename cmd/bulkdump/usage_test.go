// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"strings"
	"testing"
)

// Wrong usage ends with 2 before the kernel is asked. It prints no data, says
// what is wrong, and where the help is.
func TestUsageErrors(t *testing.T) {
	const noID = " must be a number from 0 to 4294967295"
	const no64 = " must be a number from 0 to 18446744073709551615"
	const negative = ": a number cannot be negative; put other arguments that begin with - after --"
	long := strings.Repeat("x", 64)
	for _, tt := range []struct {
		args []string
		want string // after "bulkdump: "
		help string // the command to look at
	}{
		{nil, "give a command", ""},
		{[]string{"dumpp"}, `unknown command "dumpp" for "bulkdump": did you mean dump?`, ""},
		{[]string{"completion"}, "give one of bash, zsh, fish", "completion"},
		{[]string{"completion", "sh"}, "give one of bash, zsh, fish", "completion"},
		{[]string{"schema", "dump", "get"}, "give one command, or none for all of them", "schema"},
		{[]string{"schema", "entry"}, `no command "entry" prints JSON, only cursors, del, dump, fill, flush, get, guard, mirror, new, set, sockets, table, trace, watch`, "schema"},
		{[]string{"schema", "man"}, `no command "man" prints JSON, only`, "schema"},
		{[]string{"man"}, "give one directory", "man"},
		{[]string{"--bogus"}, "unknown flag: --bogus", ""},
		{[]string{"--version", "-o", "xml"}, `bulkdump has no output format "xml", only`, ""},
		{[]string{"help", "foo"}, `there is no command "foo"`, "help"},
		{[]string{"help", "dump", "x"}, `there is no command "dump x"`, "help"},

		{[]string{"fill"}, "give one count", "fill"},
		{[]string{"fill", "1", "2"}, "give one count", "fill"},
		{[]string{"fill", "0"}, `count "0" must be a number from 1 to 4294967295`, "fill"},
		{[]string{"fill", "4294967296"}, `count "4294967296" must be a number from 1 to 4294967295`, "fill"},
		{[]string{"fill", "1e6"}, `count "1e6" must be a number from 1 to 4294967295`, "fill"},
		{[]string{"fill", "-5"}, "-5" + negative, "fill"},
		{[]string{"fill", "--", "-5"}, `count "-5" must be a number from 1 to 4294967295`, "fill"},
		{[]string{"fill", "5", "--id-start", "-1"}, `invalid argument "-1" for "--id-start" flag:` + noID, "fill"},
		{[]string{"fill", "5", "--seed", "-1"}, `invalid argument "-1" for "--seed" flag:` + no64, "fill"},
		{[]string{"fill", "5", "--seed", "18446744073709551616"}, `invalid argument "18446744073709551616" for "--seed" flag:` + no64, "fill"},
		{[]string{"fill", "5", "--id-start", "4294967296"}, `invalid argument "4294967296" for "--id-start" flag:` + noID, "fill"},
		{[]string{"fill", "5", "--id-stride", "0"}, `invalid argument "0" for "--id-stride" flag: must be a number from 1 to 4294967295`, "fill"},
		{[]string{"fill", "5", "--payload-min", "60001"}, `invalid argument "60001" for "--payload-min" flag: must be a number from 0 to 60000`, "fill"},
		{[]string{"fill", "5", "--payload-max", "60001"}, `invalid argument "60001" for "--payload-max" flag: must be a number from 0 to 60000`, "fill"},
		{[]string{"fill", "5", "--payload-min", "9", "--payload-max", "8"}, "--payload-max is below --payload-min", "fill"},
		{[]string{"fill", "5", "--payload-min", "9", "--payload-max", "0"}, "--payload-max is below --payload-min", "fill"},

		{[]string{"dump", "5"}, `dump takes no arguments: "5"`, "dump"},
		{[]string{"dump", "--bogus"}, "unknown flag: --bogus", "dump"},
		{[]string{"dump", "-o"}, "flag needs an argument: 'o' in -o", "dump"},
		{[]string{"dump", "-o", "xml"}, `dump has no output format "xml", only table, json, jsonl, csv, count`, "dump"},
		{[]string{"dump", "--from", "x"}, `invalid argument "x" for "--from" flag:` + noID, "dump"},
		{[]string{"dump", "-1"}, "-1" + negative, "dump"},
		{[]string{"dump", "--from", "-1"}, `invalid argument "-1" for "--from" flag:` + noID, "dump"},
		{[]string{"dump", "--from=-1"}, `invalid argument "-1" for "--from" flag:` + noID, "dump"},
		{[]string{"dump", "--since", "-1"}, `invalid argument "-1" for "--since" flag:` + no64, "dump"},
		{[]string{"dump", "--flags", "-1"}, `invalid argument "-1" for "--flags" flag:` + noID, "dump"},
		{[]string{"dump", "--flags", "1/-1"}, `invalid argument "1/-1" for "--flags" flag: the mask must be a number from 1 to 4294967295`, "dump"},
		{[]string{"dump", "--to", "-1"}, `invalid argument "-1" for "--to" flag:` + noID, "dump"},
		{[]string{"dump", "--name-prefix", ""}, "--name-prefix must have 1 to 63 bytes", "dump"},
		{[]string{"dump", "--name-prefix", strings.Repeat("x", 64)}, "--name-prefix must have 1 to 63 bytes", "dump"},
		{[]string{"dump", "--flags", "0x3/0x1"}, `invalid argument "0x3/0x1" for "--flags" flag: the value has bits outside the mask`, "dump"},
		{[]string{"dump", "--flags", "0/0"}, `invalid argument "0/0" for "--flags" flag: the mask must be a number from 1 to 4294967295`, "dump"},
		{[]string{"dump", "--flags", "x"}, `invalid argument "x" for "--flags" flag:` + noID, "dump"},
		{[]string{"dump", "--cursor", "id"}, `invalid argument "id" for "--cursor" flag: "id" is no cursor; there are key, bucket, index, walker`, "dump"},
		{[]string{"dump", "--encoding", "x"}, `invalid argument "x" for "--encoding" flag: "x" is no encoding; there are plain, direct, columns`, "dump"},
		{[]string{"dump", "--since", "1", "--cursor", "key"}, "--since goes only with --from and --to", "dump"},
		{[]string{"dump", "--since", "1", "--verify", "0"}, "--verify needs all entries: leave --since out", "dump"},
		{[]string{"dump", "--from", "6", "--to", "5"}, "--from 6 is above --to 5", "dump"},
		{[]string{"dump", "--buffer", "-1"}, `invalid argument "-1" for "--buffer" flag: must be a number from 4096 to 16777216`, "dump"},
		{[]string{"dump", "--buffer", "4095"}, `invalid argument "4095" for "--buffer" flag: must be a number from 4096 to 16777216`, "dump"},
		{[]string{"dump", "--buffer", "99999999999999"}, `invalid argument "99999999999999" for "--buffer" flag: must be`, "dump"},
		{[]string{"dump", "--limit", "-1"}, `invalid argument "-1" for "--limit" flag:` + no64, "dump"},
		{[]string{"dump", "--verify", "x"}, `invalid argument "x" for "--verify" flag:` + no64, "dump"},
		{[]string{"dump", "--verify", ""}, `invalid argument "" for "--verify" flag:` + no64, "dump"},
		{[]string{"dump", "--verify", "1", "--limit", "1"}, "--verify needs all entries: leave --limit out", "dump"},

		{[]string{"dump", "--sync", "--since", "1"}, "--sync does not go with --since", "dump"},
		{[]string{"dump", "--sync", "--cursor", "key"}, "--sync does not go with --cursor", "dump"},
		{[]string{"dump", "--sync", "--name-prefix", "x"}, "--sync does not go with --name-prefix", "dump"},
		{[]string{"dump", "--sync", "--flags", "1"}, "--sync does not go with --flags", "dump"},
		{[]string{"dump", "--sync", "--parallel", "2"}, "--sync does not go with --parallel", "dump"},
		{[]string{"dump", "--sync", "--allow-interrupted"}, "--sync does not go with --allow-interrupted", "dump"},
		{[]string{"dump", "--parallel", "2", "--since", "1"}, "--parallel does not go with --since", "dump"},
		{[]string{"dump", "--parallel", "2", "--cursor", "key"}, "--parallel does not go with --cursor", "dump"},
		{[]string{"dump", "--sync-passes", "3"}, "--sync-passes goes only with --sync", "dump"},
		{[]string{"dump", "--sync", "--sync-passes", "0"}, `invalid argument "0" for "--sync-passes" flag: must be a number from 1 to 1048576`, "dump"},
		{[]string{"dump", "--unordered"}, "--unordered goes only with --parallel", "dump"},
		{[]string{"dump", "--sync", "--unordered"}, "--unordered goes only with --parallel", "dump"},
		{[]string{"dump", "--parallel", "0"}, `invalid argument "0" for "--parallel" flag: must be a number from 1 to 256`, "dump"},
		{[]string{"dump", "--parallel", "257"}, `invalid argument "257" for "--parallel" flag: must be a number from 1 to 256`, "dump"},

		{[]string{"get"}, "give either one id or --name", "get"},
		{[]string{"get", "1", "2"}, "give either one id or --name", "get"},
		{[]string{"get", "1", "--name", "x"}, "give either one id or --name", "get"},
		{[]string{"get", "--name", ""}, `name "" must have 1 to 63 bytes, not 0`, "get"},
		{[]string{"get", "-1"}, "-1" + negative, "get"},
		{[]string{"get", "-0x10"}, "-0x10" + negative, "get"},
		{[]string{"get", "-o", "json", "-12"}, "-12" + negative, "get"},
		{[]string{"get", "--", "-1"}, `id "-1"` + noID, "get"},
		{[]string{"get", "4294967296"}, `id "4294967296"` + noID, "get"},
		{[]string{"get", "0x100000000"}, `id "0x100000000"` + noID, "get"},
		{[]string{"get", "0x"}, `id "0x"` + noID, "get"},
		{[]string{"get", "1", "-o", "count"}, `get has no output format "count", only table, json, jsonl, csv`, "get"},

		{[]string{"new", "1"}, "give an id and a name", "new"},
		{[]string{"new", "-1", "y"}, "-1" + negative, "new"},
		{[]string{"new", "1", "-1"}, "-1" + negative, "new"}, // but see TestNameLikeANumber
		{[]string{"new", "--", "-1", "y"}, `id "-1"` + noID, "new"},
		{[]string{"new", "1", "y", "--value", "-1"}, `invalid argument "-1" for "--value" flag:` + no64, "new"},
		{[]string{"new", "1", "y", "--flags", "-1"}, `invalid argument "-1" for "--flags" flag:` + noID, "new"},
		{[]string{"new", "x", "y"}, `id "x"` + noID, "new"},
		{[]string{"new", "1", ""}, `name "" must have 1 to 63 bytes, not 0`, "new"},
		{[]string{"new", "1", long}, `name "` + long + `" must have 1 to 63 bytes, not 64`, "new"},
		{[]string{"new", "1", "x", "--flags", "0x1ffffffff"}, `invalid argument "0x1ffffffff" for "--flags" flag:` + noID, "new"},
		{[]string{"new", "1", "x", "-o", "count"}, `new has no output format "count", only table, json, jsonl, csv`, "new"},

		{[]string{"set"}, "give one id", "set"},
		{[]string{"set", "1", "2", "--value", "1"}, "give one id", "set"},
		{[]string{"set", "-1", "--value", "1"}, "-1" + negative, "set"},
		{[]string{"set", "--value", "1", "--", "-1"}, `id "-1"` + noID, "set"},
		{[]string{"set", "x", "--value", "1"}, `id "x"` + noID, "set"},
		{[]string{"set", "1"}, "nothing to set: give --name, --flags, --value or --payload", "set"},
		{[]string{"set", "1", "--create"}, "nothing to set: give --name, --flags, --value or --payload", "set"},
		{[]string{"set", "1", "--name", ""}, `name "" must have 1 to 63 bytes, not 0`, "set"},
		{[]string{"set", "1", "--value", "-1"}, `invalid argument "-1" for "--value" flag:` + no64, "set"},
		{[]string{"set", "1", "--value", "1", "-o", "count"}, `set has no output format "count", only`, "set"},

		{[]string{"del"}, "give one id or more", "del"},
		{[]string{"del", "-1"}, "-1" + negative, "del"},
		{[]string{"del", "1", "-2"}, "-2" + negative, "del"},
		{[]string{"del", "--", "1", "-2"}, `id "-2"` + noID, "del"},
		{[]string{"del", "1", "x"}, `id "x"` + noID, "del"},
		{[]string{"del", "1", "-o", "count"}, `del has no output format "count", only`, "del"},
		{[]string{"flush", "1"}, `flush takes no arguments: "1"`, "flush"},
		{[]string{"flush", "-o", "count"}, `flush has no output format "count", only`, "flush"},
		{[]string{"table", "x"}, `table takes no arguments: "x"`, "table"},
		{[]string{"guard", "x"}, `guard takes no arguments: "x"`, "guard"},
		{[]string{"guard", "-o", "count"}, `guard has no output format "count", only`, "guard"},
		{[]string{"guard", "--entries", "999"}, `invalid argument "999" for "--entries" flag: must be a number from 1000 to 10000000`, "guard"},
		{[]string{"trace", "x"}, `trace takes no arguments: "x"`, "trace"},
		{[]string{"trace", "-o", "png"}, `trace has no output format "png", only table, json, jsonl, csv, svg`, "trace"},
		{[]string{"dump", "-o", "arrow"}, `dump has no output format "arrow", only table, json, jsonl, csv, count; bulkdump-arrow writes an Arrow stream`, "dump"},
		{[]string{"dump", "-o", "svg"}, `dump has no output format "svg", only`, "dump"},
		{[]string{"trace", "--scenario", "x"}, `there is no scenario "x", only mid-dump-change, slow-reader, small-buffer, two-readers`, "trace"},
		{[]string{"trace", "--scenario", "slow-reader", "--peek"}, `--scenario says how to read: leave --peek out`, "trace"},
		{[]string{"trace", "--readers", "0"}, `invalid argument "0" for "--readers" flag: must be a number from 1 to 4`, "trace"},
		{[]string{"trace", "--delay", "-1s"}, `invalid argument "-1s" for "--delay" flag: must be a time such as 90s or 2h, and not negative`, "trace"},
		{[]string{"trace", "--delay", "5"}, `invalid argument "5" for "--delay" flag`, "trace"},
		{[]string{"trace", "--from", "-1"}, `invalid argument "-1" for "--from" flag:` + noID, "trace"},
		{[]string{"trace", "--from", "6", "--to", "5"}, "--from 6 is above --to 5", "trace"},
		{[]string{"sockets", "x"}, `sockets takes no arguments: "x"`, "sockets"},
		{[]string{"sockets", "-o", "count"}, `sockets has no output format "count", only`, "sockets"},
		{[]string{"sockets", "--source", "sys"}, `--source is auto, diag or proc, not "sys"`, "sockets"},
		{[]string{"sockets", "--color", "red"}, `invalid argument "red" for "--color" flag: must be auto, always or never`, "sockets"},
		{[]string{"table", "-o", "count"}, `table has no output format "count", only`, "table"},
	} {
		t.Run(fmt.Sprint(tt.args), func(t *testing.T) {
			f := &fakeTable{}
			got := run(t, f, tt.args...)
			got.check(t, ran{"", "bulkdump: " + tt.want, exitUsage})
			help := strings.TrimSpace("bulkdump "+tt.help) + " --help"
			if !strings.HasSuffix(got.stderr, "\nSee '"+help+"'.\n") {
				t.Errorf("stderr %q does not end with a hint at %s", got.stderr, help)
			}
			if len(f.asked) > 0 {
				t.Errorf("asked %q", f.asked)
			}
		})
	}
}

// After --, or as the value of a flag, a name may look like a number.
func TestNameLikeANumber(t *testing.T) {
	for _, args := range [][]string{{"new", "1", "--", "-1"}, {"set", "1", "--name", "-1"}} {
		f := &fakeTable{}
		got := run(t, f, args...)
		name := f.made.Name
		if f.change.Name != nil {
			name = *f.change.Name
		}
		if got.code != exitOK || name != "-1" {
			t.Errorf("%q: the name is %q, %+v", args, name, got)
		}
	}
}
