// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/observe"
)

// A process of its own takes a dump, so that it can be killed, and be in another pid
// namespace.

// inChild has what the child takes.
const inChild = "DUMPCHECK_CHILD"

// A task is what a child does.
type task struct {
	Protocol int
	Request  nldump.Message
	Wait     time.Duration
}

// Child takes a dump for its parent and exits, in a process that was started for that.
// Elsewhere it returns. Call it first in main.
func Child() {
	text := os.Getenv(inChild)
	if text == "" {
		return
	}
	if err := child(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(text string) error {
	var t task
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return err
	}
	s, err := observe.Dial(t.Protocol, large)
	if err != nil {
		return err
	}
	fmt.Println() // the request is sent now
	d := s.Dump(t.Request, observe.Limits{Page: t.Wait})
	var records [][]byte
	for _, m := range d.Records() {
		records = append(records, m.Data)
	}
	return json.NewEncoder(os.Stdout).Encode(records)
}

// start starts a child in the thread's network namespace. Its output begins when it
// sends the request.
func (r *run) start(request nldump.Message, in *syscall.SysProcAttr) (*exec.Cmd, *bufio.Reader, error) {
	text, err := json.Marshal(task{r.Protocol, request, r.Wait})
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(r.ctx, "/proc/self/exe")
	cmd.Env = append(os.Environ(), inChild+"="+string(text))
	cmd.SysProcAttr = in
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	lines := bufio.NewReader(out)
	if _, err := lines.ReadString('\n'); err != nil {
		return nil, nil, errors.Join(err, cmd.Wait())
	}
	return cmd, lines, nil
}

// checkKill kills a reader while the kernel makes a page for it, if any page so far
// took long enough.
func checkKill(r *run) {
	const long = 500 * time.Millisecond
	if r.slowest < long {
		r.info("the longest wait for a page was %v", r.slowest.Round(time.Microsecond))
		return
	}
	cmd, _, err := r.start(r.slow, &syscall.SysProcAttr{})
	if r.failed(err) {
		return
	}
	time.Sleep(r.slowest / 4) // it is in the kernel now
	begin := time.Now()
	err = cmd.Process.Kill()
	cmd.Wait()
	if r.failed(err) {
		return
	}
	if took := time.Since(begin); took > r.slowest/4 {
		r.weak("a page takes %v, and a reader who is killed meanwhile lives on for %v", r.slowest.Round(time.Millisecond), took.Round(time.Millisecond))
		return
	}
	r.info("a page takes %v, and its reader can be killed", r.slowest.Round(time.Millisecond))
}

// checkPid looks for the reader's process id and user id in the records. If some have
// them, it takes the dump in a pid namespace and a user namespace that are new. There
// the ids are others: 1, and 0.
func checkPid(r *run) {
	pids := attrsWith(r, r.base.Records(), uint32(os.Getpid()))
	var uids map[uint16]bool
	if os.Geteuid() == 0 {
		d, err := r.byNobody()
		if r.failed(err) {
			return
		}
		uids = attrsWith(r, d.Records(), r.User)
		for typ := range attrsWith(r, r.base.Records(), r.User) {
			delete(uids, typ) // root has it, too: it is another number
		}
	}
	if len(pids)+len(uids) == 0 {
		if !r.nothing() {
			r.info("no attribute has the reader's process id, or user id")
		}
		return
	}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(r.User), Size: 1}}
	cmd, out, err := r.start(r.Request, &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, Credential: &syscall.Credential{NoSetGroups: true},
	})
	if r.failed(err) {
		return
	}
	var data [][]byte
	err = errors.Join(json.NewDecoder(out).Decode(&data), cmd.Wait())
	if r.failed(err) {
		return
	}
	records := make([]observe.Message, len(data))
	for i := range data {
		records[i].Data = data[i]
	}
	leaked := func(what string, mine map[uint16]bool, outside, inside int) {
		theirs := attrsWith(r, records, uint32(outside))
		for typ := range mine {
			if theirs[typ] {
				r.weak("%s has the reader's %s as the first namespace has it, not as the reader's has it: %d, not %d",
					nameOf(r.Target, []uint16{typ}), what, outside, inside)
			}
		}
	}
	leaked("process id", pids, cmd.Process.Pid, 1)
	leaked("user id", uids, int(r.User), 0)
}

// attrsWith are the attributes of 4 bytes that have a value in each record with them.
func attrsWith(r *run, records []observe.Message, value uint32) map[uint16]bool {
	with := map[uint16]bool{}
	for _, m := range records {
		for a := m.Attrs(r.Header); a.Next(); {
			if len(a.Bytes()) != 4 {
				continue
			}
			typ, is := a.Type(), a.Uint32() == value
			before, seen := with[typ]
			with[typ] = is && (before || !seen)
		}
	}
	for typ, all := range with {
		if !all {
			delete(with, typ)
		}
	}
	return with
}
