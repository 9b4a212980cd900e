// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"bulkdump/cmd/bulkdump/internal/nlsock"
)

func (a *app) socketsCommand() *cobra.Command {
	source := "auto"
	cmd := &cobra.Command{
		Use:   "sockets",
		Short: "Print every netlink socket in sight, and whether a dump is running on it",
		Long: `sockets prints the netlink sockets of all network namespaces in sight: those of
threads, of open files and of /run/netns. For root that is all; others see their
own namespace.

A socket's name is namespace, protocol and port id: the same port id may be
there in another namespace or protocol. QUEUED is the memory of what waits to be
read, in bytes, RCVBUF how much there may be, DROPS how many messages found no
room. DUMP says that a dump is running: it waits until its reader reads. Port id
0 is the kernel's own socket. The sockets of this command are left out, and
those that were neither bound nor sent from: they have no name.

It reads sock_diag, and from /proc/net/netlink what is not there. A kernel
without netlink_diag has only the latter: without RCVBUF, and without GROUPS
above 32. It does not need the module bulkdump.`,
		Example: `  bulkdump sockets
  bulkdump sockets -o jsonl | grep '"dump":true'
  bulkdump sockets --source proc -o csv`,
		Args: noArguments,
		PreRunE: func(*cobra.Command, []string) error {
			switch source {
			case "auto", string(nlsock.Diag), string(nlsock.Proc):
				return nil
			}
			return usagef("--source is auto, diag or proc, not %q", source)
		},
		RunE: a.runsAlone(func(cmd *cobra.Command, _ []string) error {
			only := nlsock.Source(source)
			if source == "auto" {
				only = ""
			}
			l, err := a.sockets(cmd.Context(), only)
			if err != nil {
				return err
			}
			if l.Fallback != nil {
				a.note("bulkdump: %v: this is from /proc/net/netlink", l.Fallback)
			}
			if l.NotEntered > 0 {
				a.note("bulkdump: %d network namespaces in sight could not be entered: this needs CAP_SYS_ADMIN "+
					"in the user namespace that owns each, and in one's own", l.NotEntered)
			}
			return a.printSockets(l.Sockets)
		}),
	}
	cmd.Flags().StringVar(&source, "source", source, "read `SOURCE` only: diag or proc")
	return cmd
}

func (a *app) printSockets(sockets []nlsock.Socket) error {
	if a.format == formatTable {
		return a.printSocketsTable(sockets)
	}
	p := newList(a, socketLayouts)
	for _, s := range sockets {
		if err := p.add(s); err != nil {
			return err
		}
	}
	return p.end()
}

func (a *app) printSocketsTable(sockets []nlsock.Socket) error {
	b := new(bytes.Buffer)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NETNS\tPROTOCOL\tPORT\tDUMP\tQUEUED\tRCVBUF\tDROPS\tOWNER\tGROUPS")
	for _, s := range sockets {
		dump, rcvbuf, groups := "-", "-", "-"
		if s.Dump {
			dump = "running"
		}
		if s.RcvBuf != nil {
			rcvbuf = strconv.FormatUint(uint64(*s.RcvBuf), 10)
		}
		if len(s.Groups) > 0 {
			groups = groupsText(s.Groups, ",")
		}
		fmt.Fprintf(w, "%v\t%v\t%d\t%s\t%d\t%s\t%d\t%s\t%s\n",
			quoted(s.NetNS.String()), s.Protocol, s.PortID, dump, s.Queued, rcvbuf, s.Drops, ownersText(s), groups)
	}
	_ = w.Flush()
	_, err := io.WriteString(a.stdout, a.paint(b.String(), func(line int) string {
		switch {
		case line == 0:
			return plain
		case sockets[line-1].Drops > 0:
			return red
		case sockets[line-1].Dump:
			return yellow
		case sockets[line-1].PortID == 0:
			return dim
		}
		return plain
	}))
	return err
}

// ownersText is for people: the first of the owners, and how many more.
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

// ownerText quotes the command also for CSV, where several are in one field.
func ownerText(o nlsock.Owner) string { return fmt.Sprintf("%s/%d", quoted(o.Command), o.PID) }

func groupsText(groups []nlsock.Group, separator string) string {
	var texts []string
	for _, g := range groups {
		texts = append(texts, quoted(g.String()))
	}
	return strings.Join(texts, separator)
}

var socketLayouts = layouts[nlsock.Socket]{
	csvHead: "netns,netns_name,protocol,port_id,groups,queued,rcvbuf,drops,dump,inode,owners,source\n",
	json: func(b []byte, s nlsock.Socket) []byte {
		text, err := json.Marshal(s)
		if err != nil {
			panic(err) // there is nothing in it that could not be
		}
		return appendVisibleJSON(b, text)
	},
	csv: func(b []byte, s nlsock.Socket) []byte {
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
