// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"bulkdump/client"
)

// listens looks for the listener's line in /proc/net/netlink: its process and
// its groups.
func listens(pid int) bool {
	text, _ := os.ReadFile("/proc/thread-self/net/netlink")
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 3 && f[1] == "16" && f[2] == strconv.Itoa(pid) && strings.Trim(f[3], "0") != "" {
			return true
		}
	}
	return false
}

// A listener with the stock tool gets each notification, with its name in the
// spec and the details of the change.
func TestYNLListens(t *testing.T) {
	c := setup(t)
	cmd := exec.CommandContext(t.Context(), "python3", ynlArgs("--subscribe", "entries", "--duration", "600")...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	waitFor(t, "a listener", func() bool { return listens(cmd.Process.Pid) })

	ctx := t.Context()
	e := client.Entry{ID: 5, Name: "five", Flags: 6, Value: 7, Payload: []byte{8, 9}}
	var generations [5]uint64
	var errs [5]error
	generations[0], errs[0] = c.New(ctx, e)
	made := only(t, c)
	generations[1], errs[1] = c.Set(ctx, client.Change{ID: 5, Value: ptr(uint64(70))})
	set := only(t, c)
	generations[2], errs[2] = c.Delete(ctx, 5)
	filled, err := c.Fill(ctx, client.FillOptions{Count: 30, IDStart: 10, IDStride: 2})
	generations[3], errs[3] = filled.Generation, err
	flushed, err := c.Flush(ctx)
	generations[4], errs[4] = flushed.Generation, err
	for i, err := range errs {
		if err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
	}

	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	next := func(name string, v any) {
		t.Helper()
		var m struct {
			Name string
			Msg  json.RawMessage
		}
		if !lines.Scan() {
			t.Fatalf("the listener ended: %v", lines.Err())
		}
		mustDecode(t, lines.Bytes(), &m)
		if m.Name != name {
			t.Fatalf("got %s, want %s: %s", m.Name, name, m.Msg)
		}
		mustDecode(t, m.Msg, v)
	}
	for i, want := range []client.Entry{made, set} {
		var got ynlEntry
		next([]string{"entry-new-ntf", "entry-set-ntf"}[i], &got)
		if !reflect.DeepEqual(got.entry(), want) || want.Generation != generations[i] {
			t.Errorf("event %+v, want %+v with generation %d", got.entry(), want, generations[i])
		}
	}
	var del changed
	next("entry-del-ntf", &del)
	if want := (changed{5, generations[2]}); del != want {
		t.Errorf("entry-del-ntf: %+v, want %+v", del, want)
	}
	type filling struct {
		Count      uint64
		IDStart    uint32 `json:"id-start"`
		IDStride   uint32 `json:"id-stride"`
		Generation uint64
	}
	var fill filling
	next("table-fill-ntf", &fill)
	if want := (filling{30, 10, 2, generations[3]}); fill != want {
		t.Errorf("table-fill-ntf: %+v, want %+v", fill, want)
	}
	var flush struct{ Count, Generation uint64 }
	next("table-flush-ntf", &flush)
	if flush.Count != 30 || flush.Generation != generations[4] {
		t.Errorf("table-flush-ntf: %+v, want 30 entries and generation %d", flush, generations[4])
	}

	// It handles the signal like the user's Ctrl-C, and exits with success.
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if lines.Scan() {
		t.Errorf("one event too many: %s", lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// only returns the one entry of the table.
func only(t *testing.T, c *client.Client) client.Entry {
	t.Helper()
	all := collect(t, c, client.DumpOptions{})
	if len(all) != 1 {
		t.Fatalf("%d entries, want one", len(all))
	}
	return all[0]
}
