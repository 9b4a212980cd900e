// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/genetlink/genltest"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/fakekernel"
	"bulkdump/client/internal/script"
	"bulkdump/client/internal/sockets"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// events reads n events, or until an error.
func events(t testing.TB, w *Watcher, n int) (all []Event, err error) {
	t.Helper()
	for e, err := range w.Events(t.Context()) {
		if err != nil {
			return all, err
		}
		if all = append(all, e); len(all) == n {
			break
		}
	}
	return all, nil
}

func openWatch(t testing.TB, c *Client) *Watcher {
	t.Helper()
	w, err := c.OpenWatch(t.Context(), WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func dialKernel(t testing.TB, k *fakekernel.Kernel) *Client {
	t.Helper()
	c, err := dial(k.Sockets())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// watchFake returns a kernel, a client of it, and a Watcher of the client.
func watchFake(t testing.TB) (*fakekernel.Kernel, *Client, *Watcher) {
	k := fakekernel.New()
	c := dialKernel(t, k)
	t.Cleanup(func() { _ = c.Close() })
	return k, c, openWatch(t, c)
}

func TestWatchKinds(t *testing.T) {
	k, _, w := watchFake(t)
	k.Put(fakekernel.Entry{ID: 5, Name: "five", Value: 1})
	k.Put(fakekernel.Entry{ID: 5, Name: "five", Value: 2})
	k.Del(5)
	k.FillBegin(10, 3)
	k.FillEnd(false)
	k.Flush()
	got, err := events(t, w, 5)
	want := []Event{
		{Kind: EventNew, Generation: 2, Entry: Entry{ID: 5, Name: "five", Value: 1, Generation: 2}},
		{Kind: EventSet, Generation: 3, Entry: Entry{ID: 5, Name: "five", Value: 2, Generation: 3}},
		{Kind: EventDel, Generation: 4, Entry: Entry{ID: 5, Generation: 4, Deleted: true}},
		{Kind: EventFill, Generation: 7, Count: 3, IDStart: 10, IDStride: 1},
		{Kind: EventFlush, Generation: 8, Count: 3},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	for _, e := range want {
		var back Event
		b, err := json.Marshal(e)
		if err == nil {
			err = json.Unmarshal(b, &back)
		}
		if err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("%s: %+v, %v", b, back, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"kind":"none"}`), &Event{}); err == nil {
		t.Error("a kind that there is not")
	}
}

// ErrOverrun comes after the events before the loss. Later changes have events
// again.
func TestWatchOverrun(t *testing.T) { synctest.Test(t, testWatchOverrun) }

func testWatchOverrun(t *testing.T) {
	k, _, w := watchFake(t)
	k.QueueLimit = 3
	var got []string
	note := func(e Event, err error) {
		if errors.Is(err, ErrOverrun) {
			got = append(got, "lost")
		} else if err == nil {
			got = append(got, string(rune('0'+e.Generation)))
		}
	}
	for range 5 { // generations 2 to 6
		k.Put(fakekernel.Entry{ID: 1, Name: "x"})
	}
	for e, err := range w.Events(t.Context()) {
		if note(e, err); err != nil {
			break
		}
	}
	k.Put(fakekernel.Entry{ID: 1, Name: "x"})
	for e, err := range w.Events(t.Context()) {
		note(e, err)
		break
	}
	// The queue overflows again before the watcher has read it empty.
	for range 5 { // 8 to 12
		k.Put(fakekernel.Entry{ID: 1, Name: "x"})
	}
	n := 0
	for e, err := range w.Events(t.Context()) {
		note(e, err)
		if n++; n == 3 { // 8, 9, 10: now there is room
			for range 4 { // 13 to 16
				k.Put(fakekernel.Entry{ID: 1, Name: "x"})
			}
		}
		if n == 8 {
			break
		}
	}
	want := []string{"2", "3", "4", "lost", "7", "8", "9", ":", "lost", "=", ">", "?", "lost"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A loop that waits ends with its context.
func TestWatchCancelled(t *testing.T) {
	k, _, w := watchFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	k.Put(fakekernel.Entry{ID: 1, Name: "x"})
	n := 0
	for e, err := range w.Events(ctx) {
		if n++; n == 1 && e.Entry.ID == 1 {
			go cancel()
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("%+v, %v, want Canceled", e, err)
		}
	}
	if n != 2 {
		t.Errorf("%d iterations, want 2", n)
	}
}

// A context ends a loop, not the subscription.
func TestWatchGoesOn(t *testing.T) {
	k, c, w := watchFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range w.Events(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want Canceled", err)
		}
	}
	k.Put(fakekernel.Entry{ID: 1, Name: "x"})
	if got, err := events(t, w, 1); err != nil || got[0].Entry.ID != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if w.sock.(*fakekernel.Listener).Deadline() {
		t.Error("the deadline stays")
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	if _, err := events(t, w, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	other := openWatch(t, c)
	ended := make(chan error)
	go func() {
		_, err := events(t, other, 1)
		ended <- err
	}()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("after the client's Close: %v", err)
	}
	if _, err := c.OpenWatch(t.Context(), WatchOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("of a closed client: %v", err)
	}
}

// Watch closes its socket, no matter how its loop ends.
func TestWatchLoop(t *testing.T) {
	k, c, _ := watchFake(t)
	k.Step = func() {
		if len(k.Listeners) == 2 {
			k.Lock()
			k.Put(fakekernel.Entry{ID: 3, Name: "x"})
			k.Unlock()
		}
	}
	for e, err := range c.Watch(t.Context(), WatchOptions{}) {
		if err != nil || e.Entry.ID != 3 {
			t.Errorf("%+v, %v", e, err)
		}
		break
	}
	if !k.Listeners[1].Closed() || len(c.open) != 1 {
		t.Error("the socket is open")
	}
	k.Unload()
	for _, err := range c.Watch(t.Context(), WatchOptions{}) {
		if !errors.Is(err, ErrNoFamily) {
			t.Errorf("%v, want ErrNoFamily", err)
		}
	}
}

// A watcher ends when its family is removed, but not when another one is.
func TestWatchFarewell(t *testing.T) {
	k, _, w := watchFake(t)
	for _, b := range [][]byte{
		{unix.CTRL_CMD_DELFAMILY},
		slices.Concat([]byte{unix.CTRL_CMD_NEWFAMILY, 2, 0, 0}, script.Attr(unix.CTRL_ATTR_FAMILY_ID, []byte{fakeFamily, 0})),
		slices.Concat([]byte{unix.CTRL_CMD_DELFAMILY, 2, 0, 0}, script.Attr(unix.CTRL_ATTR_FAMILY_ID, []byte{fakeFamily + 1, 0})),
	} {
		k.Listeners[0].Push(script.Message(unix.GENL_ID_CTRL, 0, b))
	}
	k.Put(fakekernel.Entry{ID: 1, Name: "x"})
	k.Unload()
	got, err := events(t, w, 2)
	if len(got) != 1 || !errors.Is(err, ErrNoFamily) {
		t.Errorf("%+v, %v, want one event and ErrNoFamily", got, err)
	}
	if _, err := events(t, w, 1); !errors.Is(err, ErrNoFamily) {
		t.Errorf("again: %v", err)
	}
}

// A watcher ignores messages that are not from the kernel or that it does not
// know.
func TestWatchIgnores(t *testing.T) {
	sock := polled{script.New(
		script.Step{Page: script.Record(0, []byte{uapi.CmdEntryDelNtf, 1, 0, 0}), From: 7},
		script.Page(script.Record(0, []byte{99, 1, 0, 0})),
		script.Page(script.Message(fakeFamily+1, 0, []byte{uapi.CmdEntryDelNtf, 1, 0, 0})),
		script.Page(script.Record(0, []byte{uapi.CmdEntryDelNtf, 1, 0, 0}, script.U32(uapi.AttrEntryID, 4), script.U64(uapi.AttrEntryGeneration, 9)),
			script.Record(0, []byte{uapi.CmdTableFlushNtf, 1, 0, 0}, script.U64(uapi.AttrTableGeneration, 10))),
	)}
	w := &Watcher{c: &Client{}, sock: sock, family: fakeFamily, buf: make([]byte, 4096)}
	got, err := events(t, w, 3)
	if len(got) != 2 || got[0].Entry.ID != 4 || got[1].Generation != 10 || !errors.Is(err, script.ErrEnd) {
		t.Errorf("%+v, %v", got, err)
	}
}

// polled is a script without pauses.
type polled struct{ *script.Socket }

func (p polled) Poll(buf []byte) (nldump.Datagram, error) { return p.Recv(buf) }

func TestWatchRefuses(t *testing.T) {
	for name, step := range map[string]script.Step{
		"short":  script.Page(script.Record(0, []byte{1})),
		"entry":  script.Page(script.Record(0, []byte{uapi.CmdEntryNewNtf, 1, 0, 0})),
		"fill":   script.Page(script.Record(0, []byte{uapi.CmdTableFillNtf, 1, 0, 0}, script.U64(uapi.AttrFillCount, 1))),
		"flush":  script.Page(script.Record(0, []byte{uapi.CmdTableFlushNtf, 1, 0, 0}, script.Attr(uapi.AttrTableGeneration, []byte{1}))),
		"header": {Page: []byte{1, 2, 3}},
		"length": {Page: script.Poke(script.Record(0, []byte{1, 1, 0, 0}), 0, 200)},
		"large":  {Page: make([]byte, 5000)},
	} {
		w := &Watcher{c: &Client{}, sock: polled{script.New(step)}, family: fakeFamily, buf: make([]byte, 4096)}
		_, err := events(t, w, 1)
		want := map[string]error{"header": nldump.ErrMalformed, "length": nldump.ErrMalformed, "large": ErrTruncated}[name]
		if want == nil {
			want = ErrBadReply
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if _, again := events(t, w, 1); !errors.Is(again, want) {
			t.Errorf("%s again: %v", name, again)
		}
	}
}

// If the family changes during the subscription, the client subscribes again.
func TestSubscribeWhileLoaded(t *testing.T) {
	k := fakekernel.New()
	c := dialKernel(t, k)
	defer c.Close()
	dialEvents := c.sockets.Events
	dialed := 0
	c.sockets.Events = func(size int, groups ...uint32) (nldump.PollSocket, error) {
		sock, err := dialEvents(size, groups...)
		if dialed++; dialed == 1 {
			k.Unload()
			k.Load(fakeFamily + 1)
		}
		return sock, err
	}
	w := openWatch(t, c)
	k.Put(fakekernel.Entry{ID: 1, Name: "x"})
	if got, err := events(t, w, 1); err != nil || got[0].Entry.ID != 1 || dialed != 2 {
		t.Errorf("%+v, %v, %d sockets", got, err, dialed)
	}
	c.sockets.Events = func(int, ...uint32) (nldump.PollSocket, error) { return nil, os.ErrPermission }
	if _, err := c.OpenWatch(t.Context(), WatchOptions{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v, want ErrPermission", err)
	}
	c.sockets.Events = func(size int, groups ...uint32) (nldump.PollSocket, error) {
		k.Unload()
		return dialEvents(size, groups...)
	}
	if _, err := c.OpenWatch(t.Context(), WatchOptions{}); !errors.Is(err, ErrNoFamily) {
		t.Errorf("%v, want ErrNoFamily", err)
	}
}

func TestSubscribeWithoutGroup(t *testing.T) {
	c, err := dial(sockets.Dialer{Requests: func() (*genetlink.Conn, error) {
		return genltest.Dial(func(m genetlink.Message, n netlink.Message) ([]genetlink.Message, error) {
			return genltest.ServeFamily(genetlink.Family{ID: fakeFamily, Version: 1, Name: FamilyName}, nil)(m, n)
		}), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.OpenWatch(t.Context(), WatchOptions{}); !errors.Is(err, ErrBadReply) {
		t.Errorf("%v, want ErrBadReply", err)
	}
}

// The controller's group exists even without the module.
func TestKernelJoinGroups(t *testing.T) {
	sock, err := joinGroups(0, 5000, []uint32{controllerGroup})
	if err != nil {
		t.Skipf("no generic netlink here: %v", err)
	}
	if _, err := sock.Poll(make([]byte, 4096)); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("%v, want EAGAIN", err)
	}
	if err := sock.Close(); err != nil {
		t.Error(err)
	}
	if _, err := joinGroups(0, 0, []uint32{1 << 30}); err == nil {
		t.Error("joined a group that there is not")
	}
	if _, err := joinGroups(-1, 0, nil); err == nil {
		t.Error("in a namespace that there is not")
	}
}

// FuzzDecodeEvent finds panics, errors of other kinds, and events whose entry
// has another generation.
func FuzzDecodeEvent(f *testing.F) {
	for cmd := byte(uapi.CmdEntryNewNtf); cmd <= uapi.CmdTableFlushNtf; cmd++ {
		f.Add(append([]byte{cmd, 1, 0, 0}, wholeEntry...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEvent(b)
		if err != nil && !errors.Is(err, ErrBadReply) {
			t.Fatalf("error %v is no ErrBadReply", err)
		}
		if err == nil && (e.Kind > EventFlush || e.Generation != e.Entry.Generation && e.Kind != 0 && (e.Kind <= EventDel)) {
			t.Fatalf("%+v", e)
		}
		isFarewell(b, fakeFamily)
	})
}
