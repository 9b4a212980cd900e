// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestReadThread(t *testing.T) {
	const rest = " 1 2 3 4 5 6 7 8 9 10 1200 34 0 0 20 0 1 0"
	for text, want := range map[string]thread{
		"7 (cpu) R" + rest:     {true, 12340 * time.Millisecond},
		"7 (a) b (c) S" + rest: {false, 12340 * time.Millisecond},
	} {
		if got, ok := readThread([]byte(text)); !ok || got != want {
			t.Errorf("%s: %+v %t, want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "7 (cpu)", "7 (cpu) R 1 2", "7 (cpu) R 1 2 3 4 5 6 7 8 9 10 a b"} {
		if got, ok := readThread([]byte(text)); ok {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// Two processes share a processor, so each of them waits about half of the time.
func TestWaiting(t *testing.T) {
	var spin [2]*exec.Cmd
	for i := range spin {
		spin[i] = exec.Command("sh", "-c", "while :; do :; done")
		if err := spin[i].Start(); err != nil {
			t.Fatal(err)
		}
		defer spin[i].Wait()
		defer spin[i].Process.Kill()
		var one unix.CPUSet
		if err := unix.SchedGetaffinity(0, &one); err != nil {
			t.Fatal(err)
		}
		for cpu := 0; one.Count() > 1; cpu++ {
			one.Clear(cpu)
		}
		if err := unix.SchedSetaffinity(spin[i].Process.Pid, &one); err != nil {
			t.Fatal(err)
		}
	}
	w := &waiting{pid: spin[0].Process.Pid, last: time.Now()}
	start := time.Now()
	for w.sum() < 500*time.Millisecond && time.Since(start) < time.Minute {
		w.look(time.Now())
		time.Sleep(100 * time.Millisecond) // how often it looks
	}
	if took := time.Since(start); w.sum() < 500*time.Millisecond || w.sum() > took {
		t.Errorf("of %v it waited %v", took, w.sum())
	}
}

// A thread waited if it was ready at both looks, and did not run all the time between
// them. That of several threads which waited longest counts.
func TestWaitingOfThreads(t *testing.T) {
	start := time.Now()
	w := &waiting{last: start}
	ready := func(ran time.Duration) thread { return thread{true, ran * time.Second} }
	asleep := func(ran time.Duration) thread { return thread{false, ran * time.Second} }
	for i, tt := range []struct { // ten seconds each
		threads map[string]thread
		want    time.Duration
	}{
		{map[string]thread{"a": ready(5)}, 0}, // new
		{map[string]thread{"a": ready(15)}, 0},
		{map[string]thread{"a": ready(18)}, 7},
		{map[string]thread{"a": asleep(18), "b": ready(0)}, 7},
		{map[string]thread{"a": ready(18), "b": asleep(0)}, 7},
		{map[string]thread{"a": ready(24), "b": ready(1), "c": ready(2)}, 7 + 4},
		{map[string]thread{"a": ready(32), "b": ready(2), "c": ready(3)}, 7 + 4 + 9},
		{map[string]thread{"b": ready(12)}, 7 + 4 + 9}, // and the others ended
	} {
		w.add(start.Add(time.Duration(i+1)*10*time.Second), tt.threads)
		if got := w.sum(); got != tt.want*time.Second {
			t.Errorf("step %d: %v, want %d s", i, got, tt.want)
		}
	}
}

// Time that QEMU waits for is added to a limit, but not without end, and not to one
// of the user's.
func TestPatience(t *testing.T) {
	s := &session{opts: &Settings{}, seen: &Seen{Accel: "kvm"}, waiting: &waiting{}, timer: time.NewTimer(time.Hour)}
	s.enter(PhaseUnload) // 20 s
	for i, tt := range []struct {
		waits   time.Duration
		patient bool
		longer  time.Duration
	}{
		{0, false, 0},
		{15 * time.Second, true, 15 * time.Second},
		{0, false, 15 * time.Second},
		{time.Hour, true, patienceMost * 20 * time.Second},
		{time.Hour, false, patienceMost * 20 * time.Second},
	} {
		s.waiting.total += tt.waits
		if got := s.patient(); got != tt.patient || s.longer != tt.longer {
			t.Errorf("step %d: patient %t, %v longer; want %+v", i, got, s.longer, tt)
		}
	}
	s.enter(PhaseExit)
	if s.patient() || s.seen.Waited != 0 {
		t.Errorf("the next phase begins with %v", s.seen.Waited)
	}
	s.opts.Timeout = time.Second
	s.enter(PhaseCommand)
	s.waiting.total += time.Hour
	if s.patient() || s.seen.Waited != time.Hour {
		t.Errorf("--timeout was made longer, or the wait is not told: %v", s.seen.Waited)
	}
}
