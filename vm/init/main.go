// SPDX-License-Identifier: BSD-3-Clause

// Command init is the guest's first process. It mounts the usual file systems,
// loads the modules, runs the one command of the run and unloads the modules.
// On the control port it reports each step to the host. It judges nothing: that
// is the host's task.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/vm/internal/proto"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: this is the guest's init; it runs as process 1 only")
		os.Exit(2)
	}
	if err := run(); err != nil {
		// The control port itself may have failed, so the console gets the
		// error, too.
		fmt.Fprintln(os.Stderr, "init:", err)
	}
	leave()
}

func run() error {
	if err := mountAll(); err != nil {
		return err
	}
	if err := traceWithoutNames(); err != nil {
		return err
	}
	cfg, err := readConfig()
	if err != nil {
		return err
	}
	for _, path := range cfg.Drivers {
		if err := load(proto.Module{Path: path}); err != nil {
			return err
		}
	}
	port, err := openPort(cfg.Control)
	if err != nil {
		return err
	}
	ctl := proto.NewWriter(port)
	orders := make(chan proto.Message)
	go readOrders(proto.NewReader(port), orders)
	last := proto.Message{Kind: proto.KindDone, Text: cfg.Token}
	err = serve(cfg, ctl, orders)
	if err != nil {
		last = proto.Message{Kind: proto.KindFail, Text: err.Error()}
	}
	ctl.Send(last)
	// When the machine ends, so does QEMU, and data still in the serial port
	// would be lost.
	if !cfg.Alone {
		await(orders, proto.KindBye)
	}
	return err
}

func readOrders(r *proto.Reader, orders chan<- proto.Message) {
	defer close(orders)
	for {
		m, err := r.Next()
		if err != nil {
			return
		}
		orders <- m
	}
}

// await waits for a message of that kind, or for the end of all messages.
func await(orders <-chan proto.Message, kind proto.Kind) {
	for m := range orders {
		if m.Kind == kind {
			return
		}
	}
}

func readConfig() (*proto.Config, error) {
	text, err := os.ReadFile(proto.ConfigPath)
	if err != nil {
		return nil, err
	}
	cfg := new(proto.Config)
	if err := json.Unmarshal(text, cfg); err != nil {
		return nil, err
	}
	return cfg, os.Remove(proto.ConfigPath)
}

// serve does the whole run. It returns an error if the run could not be
// completed. What the host can judge is sent as a message and is not an error.
func serve(cfg *proto.Config, ctl *proto.Writer, orders <-chan proto.Message) error {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return err
	}
	ctl.Send(proto.Message{Kind: proto.KindHello, Text: unix.ByteSliceToString(uts.Release[:])})
	logSent, err := forwardLog(ctl, cfg.Token)
	if err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	unix.Sethostname([]byte("vm"))

	for _, path := range cfg.Own {
		if err := load(proto.Module{Path: path}); err != nil {
			return err
		}
	}
	keep := map[string]bool{}
	mods, err := loadedModules()
	if err != nil {
		return err
	}
	for _, m := range mods {
		keep[m.name] = true
	}

	c, err := newCommand(cfg)
	if err != nil {
		return err
	}
	for _, m := range cfg.Modules {
		if err := load(m); err != nil {
			return err
		}
	}
	if cfg.Wait {
		ctl.Send(proto.Message{Kind: proto.KindLoaded, Sections: moduleSections()})
		await(orders, proto.KindGo)
	}
	ctl.Send(proto.Message{Kind: proto.KindRunning})
	exit := c.run(ctl, orders)
	ctl.Send(exit)
	for _, name := range endLeftovers() {
		ctl.Send(proto.Message{Kind: proto.KindNote, Text: "still running after the command, killed: " + name})
	}
	out, err := c.drain()
	if err != nil {
		return err
	}
	ctl.Send(out)
	// QEMU may end before all output has arrived, so wait for the host.
	if !cfg.Alone {
		await(orders, proto.KindDrained)
	}

	unloaded := proto.Message{Kind: proto.KindUnloaded, Sections: moduleSections()}
	note := func(s string) { ctl.Send(proto.Message{Kind: proto.KindNote, Text: s}) }
	if err := unloadSince(keep, note); err != nil {
		unloaded.Text = err.Error()
	}
	if cfg.Counters != "" {
		if err := sendCounters(ctl, filepath.Join(gcovDir, cfg.Counters)); err != nil {
			return err
		}
	}
	ctl.Send(unloaded)
	settle()
	if err := findLeaks(); err != nil {
		ctl.Send(proto.Message{Kind: proto.KindFault, Text: err.Error()})
	}
	taint, err := readTaint()
	if err != nil {
		return err
	}
	ctl.Send(proto.Message{Kind: proto.KindTaint, Taint: taint})
	if err := endLog(cfg.Token); err != nil {
		return err
	}
	<-logSent
	return nil
}

func readTaint() (uint64, error) {
	text, err := os.ReadFile("/proc/sys/kernel/tainted")
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}
