// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"bulkdump/vm/harness/internal/arch"
)

// monitorPatience is how long QEMU may take for all its answers.
const monitorPatience = 3 * time.Second

// A monitor talks to QEMU (docs/interop/qmp-spec.rst in its source).
type monitor struct {
	port    *os.File
	answers chan json.RawMessage // closed at QEMU's end
	reason  string               // why the machine ended; known when answers is closed
}

func openMonitor(port *os.File) *monitor {
	m := &monitor{port: port, answers: make(chan json.RawMessage, 1)}
	go m.read()
	_ = m.send("qmp_capabilities", nil) // from here on, it tells what happens
	return m
}

// read hands the answers on, and keeps the reason of the end. QEMU greets first.
func (m *monitor) read() {
	defer close(m.answers)
	agreed := false
	for from := json.NewDecoder(m.port); ; {
		var line struct {
			Return, Error json.RawMessage
			Event         string
			Data          struct{ Reason string }
		}
		if err := from.Decode(&line); err != nil {
			return
		}
		switch {
		case line.Event == "SHUTDOWN":
			m.reason = line.Data.Reason
		case line.Return == nil && line.Error == nil:
		case !agreed: // the answer to the capabilities
			agreed = true
		default:
			m.answers <- line.Return // nil for an error
		}
	}
}

// end waits for QEMU's end, and returns why the machine ended.
func (m *monitor) end() (reason string) {
	for range m.answers {
	}
	return m.reason
}

func (m *monitor) send(command string, arguments map[string]string) error {
	question := map[string]any{"execute": command}
	if arguments != nil {
		question["arguments"] = arguments
	}
	return json.NewEncoder(m.port).Encode(question)
}

// askAll asks about a guest that does not go on: where each processor is, whether it
// takes interrupts, and when its timer is due. It returns the answers that come in
// time.
func (m *monitor) askAll(a *arch.Arch, cpus int) string {
	questions := []string{"info status", "info registers -a"}
	if a.IsPC() {
		questions = append(questions, "info irq")
		for cpu := range cpus {
			questions = append(questions, fmt.Sprint("info lapic ", cpu))
		}
	}
	var text strings.Builder
	late := time.After(monitorPatience)
	for _, question := range questions {
		if m.send("human-monitor-command", map[string]string{"command-line": question}) != nil {
			break
		}
		select {
		case <-late:
			return text.String()
		case raw, ok := <-m.answers:
			var answer string
			if !ok || json.Unmarshal(raw, &answer) != nil {
				return text.String()
			}
			fmt.Fprintf(&text, "%s\n%s\n", question, strings.ReplaceAll(answer, "\r", ""))
		}
	}
	return text.String()
}

var (
	ofProcessor = regexp.MustCompile(`(?m)^CPU#(\d+)\r?$`)
	// Each machine has a name of its own for it.
	programAt = regexp.MustCompile(`(?m)(?:\b(?:RIP|EIP|PC|R15)=|\bNIP |^ ?pc +|PSW=mask [0-9a-f]+ addr )([0-9a-f]+)`)
)

// Processors says in a few words where they were, "" if that is not known.
func (s *Seen) Processors() string {
	var all []string
	found := ofProcessor.FindAllStringSubmatchIndex(s.Machine, -1)
	for i, m := range found {
		end := len(s.Machine)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		registers := s.Machine[m[1]:end]
		how := "runs"
		if strings.Contains(registers, "HLT=1") {
			how = "is halted"
		}
		if at := programAt.FindStringSubmatch(registers); at != nil {
			all = append(all, fmt.Sprintf("processor %s %s at %s", s.Machine[m[2]:m[3]], how, at[1]))
		}
	}
	return strings.Join(all, ", ")
}
