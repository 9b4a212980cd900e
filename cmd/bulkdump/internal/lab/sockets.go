// SPDX-License-Identifier: BSD-3-Clause

package lab

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"

	"bulkdump/cmd/bulkdump/internal/lab/nlsock"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/term"
)

// PrintSockets writes a line for each socket.
func PrintSockets(out *output.Stdout, sockets []nlsock.Socket) error {
	if out.Format == output.FormatTable {
		return printSocketsTable(out, sockets)
	}
	p := output.NewList(out, socketLayouts)
	for _, s := range sockets {
		if err := p.Add(s); err != nil {
			return err
		}
	}
	return p.End()
}

func printSocketsTable(out *output.Stdout, sockets []nlsock.Socket) error {
	rows := [][]string{{"NETNS", "PROTOCOL", "PORT", "DUMP", "QUEUED", "RCVBUF", "DROPS", "OWNER", "GROUPS"}}
	for _, s := range sockets {
		dump, rcvbuf, groups := "-", "-", "-"
		if s.Dump {
			dump = "running"
		}
		if s.RcvBuf != nil {
			rcvbuf = fmt.Sprint(*s.RcvBuf)
		}
		if len(s.Groups) > 0 {
			groups = groupsText(s.Groups, ",")
		}
		rows = append(rows, []string{term.Quoted(s.NetNS.String()), s.Protocol.String(), fmt.Sprint(s.PortID), dump,
			fmt.Sprint(s.Queued), rcvbuf, fmt.Sprint(s.Drops), ownersText(s), groups})
	}
	return out.Table(rows, func(row int) term.Color {
		switch {
		case row == 0:
			return term.Plain
		case sockets[row-1].Drops > 0:
			return term.Red
		case sockets[row-1].Dump:
			return term.Yellow
		case sockets[row-1].PortID == 0:
			return term.Dim
		}
		return term.Plain
	})
}

// ownersText is for people: the first owner, and how many more there are.
func ownersText(s nlsock.Socket) string {
	switch n := len(s.Owners); {
	case n == 0 && s.PortID == 0:
		return "kernel"
	case n == 0:
		return "-"
	case n == 1:
		return ownerText(s.Owners[0])
	default:
		return fmt.Sprintf("%s +%d", ownerText(s.Owners[0]), n-1)
	}
}

// ownerText quotes the command even for CSV, which has several in one field.
func ownerText(o nlsock.Owner) string { return fmt.Sprintf("%s/%d", term.Quoted(o.Command), o.PID) }

func groupsText(groups []nlsock.Group, separator string) string {
	var texts []string
	for _, g := range groups {
		texts = append(texts, term.Quoted(g.String()))
	}
	return strings.Join(texts, separator)
}

var socketLayouts = output.Layouts[nlsock.Socket]{
	CSVHead: "netns,netns_name,protocol,port_id,groups,queued,rcvbuf,drops,dump,inode,owners,source\n",
	JSON:    func(b []byte, s nlsock.Socket) []byte { return term.AppendJSON(b, s) },
	CSV: func(b []byte, s nlsock.Socket) []byte {
		rcvbuf := ""
		if s.RcvBuf != nil {
			rcvbuf = fmt.Sprint(*s.RcvBuf)
		}
		owners := make([]string, 0, len(s.Owners))
		for _, o := range s.Owners {
			owners = append(owners, ownerText(o))
		}
		var line bytes.Buffer
		w := csv.NewWriter(&line)
		_ = w.Write([]string{
			fmt.Sprint(s.NetNS.Inode), s.NetNS.Name, s.Protocol.String(), fmt.Sprint(s.PortID), groupsText(s.Groups, " "),
			fmt.Sprint(s.Queued), rcvbuf, fmt.Sprint(s.Drops), fmt.Sprint(s.Dump), fmt.Sprint(s.Inode),
			strings.Join(owners, " "), string(s.Source),
		})
		w.Flush()
		return append(b, bytes.TrimSuffix(line.Bytes(), []byte("\n"))...)
	},
}
