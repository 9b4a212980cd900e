// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
)

// monitorPatience is how long QEMU may take for all its answers.
const monitorPatience = 3 * time.Second

// askMonitor asks QEMU about a guest that does not go on: where each processor is,
// whether it takes interrupts, and when its timer is due. It returns the answers
// that come in time (docs/interop/qmp-spec.rst in QEMU's source).
func askMonitor(monitor *os.File, cpus int) string {
	var text strings.Builder
	if err := monitor.SetDeadline(time.Now().Add(monitorPatience)); err != nil {
		return ""
	}
	answers := json.NewDecoder(monitor)
	if _, err := askQMP(monitor, answers, "qmp_capabilities", nil); err != nil {
		return ""
	}
	questions := []string{"info status", "info registers -a", "info irq"}
	for cpu := range cpus {
		questions = append(questions, fmt.Sprint("info lapic ", cpu))
	}
	for _, question := range questions {
		answer, err := askQMP(monitor, answers, "human-monitor-command", map[string]string{"command-line": question})
		if err != nil {
			break
		}
		fmt.Fprintf(&text, "%s\n%s\n", question, strings.ReplaceAll(answer, "\r", ""))
	}
	return text.String()
}

// askQMP runs one command. Greetings and events come between its answers.
func askQMP(to io.Writer, from *json.Decoder, command string, arguments map[string]string) (answer string, err error) {
	question := map[string]any{"execute": command}
	if arguments != nil {
		question["arguments"] = arguments
	}
	if err := json.NewEncoder(to).Encode(question); err != nil {
		return "", err
	}
	for {
		var m struct {
			Return json.RawMessage
			Error  json.RawMessage
		}
		if err := from.Decode(&m); err != nil {
			return "", err
		}
		switch {
		case m.Error != nil:
			return "", fmt.Errorf("QEMU: %s: %s", command, m.Error)
		case m.Return != nil:
			_ = json.Unmarshal(m.Return, &answer) // {}, if it has nothing to say
			return answer, nil
		}
	}
}

var (
	cpuRegisters = regexp.MustCompile(`(?ms)^CPU#(\d+)\n(.*?)^GDT=`)
	programAt    = regexp.MustCompile(`RIP=([0-9a-f]+)`)
)

// Processors says in a few words where they were, "" if that is not known.
func (s *Seen) Processors() string {
	var all []string
	for _, m := range cpuRegisters.FindAllStringSubmatch(s.Machine, -1) {
		how := "runs"
		if strings.Contains(m[2], "HLT=1") {
			how = "is halted"
		}
		if at := programAt.FindStringSubmatch(m[2]); at != nil {
			all = append(all, fmt.Sprintf("processor %s %s at %s", m[1], how, at[1]))
		}
	}
	return strings.Join(all, ", ")
}
