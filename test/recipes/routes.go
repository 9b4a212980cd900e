// SPDX-License-Identifier: BSD-3-Clause

package recipes

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

func PrintRoutes(ctx context.Context) error {
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{}) // "bulkdump/client/nldump"
	if err != nil {
		return err
	}
	defer s.Close()
	all := nldump.Message{Type: unix.RTM_GETROUTE, Data: make([]byte, unix.SizeofRtMsg)}
	for route, err := range s.Records(ctx, all) {
		if err != nil {
			return err // refused, truncated, interrupted, ended early
		}
		if a := route.Attrs(unix.SizeofRtMsg); a.Find(unix.RTA_DST) { // a default route has none
			fmt.Printf("%v/%d\n", a.Addr(), route.Data[1])
		}
	}
	return nil
}
