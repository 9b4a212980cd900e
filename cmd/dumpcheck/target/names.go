// SPDX-License-Identifier: BSD-3-Clause

package target

import "strconv"

// Commands are the names of the commands of generic netlink that dump, by family.
// One without a name here is called by its number.
var Commands = map[string]map[uint8]string{
	"802.15.4 MAC": {31: "list-iface", 32: "list-phy", 38: "llsec-list-key", 41: "llsec-list-dev", 44: "llsec-list-devkey",
		47: "llsec-list-seclevel"},
	"IOAM6":           {3: "dump-namespaces", 6: "dump-schemas"},
	"IPVS":            {4: "get-service", 8: "get-dest", 11: "get-daemon"},
	"MAC80211_HWSIM":  {6: "get-radio"},
	"MAC802154_HWSIM": {1: "get-radio"},
	"NLBL_CALIPSO":    {4: "listall"},
	"NLBL_CIPSOv4":    {4: "listall"},
	"NLBL_MGMT":       {3: "listall", 7: "protocols"},
	"NLBL_UNLBL":      {5: "staticlist", 8: "staticlistdef"},
	"SEG6":            {2: "dumphmac"},
	"SMC_GEN_NETLINK": {1: "get-sys-info", 2: "get-lgr-smcr", 3: "get-link-smcr", 4: "get-lgr-smcd", 5: "get-dev-smcd", 6: "get-dev-smcr",
		7: "get-stats", 8: "get-fback-stats", 9: "dump-ueid", 13: "dump-seid", 16: "dump-hs-limitation"},
	"SMC_PNETID": {1: "get"},
	"TIPCv2": {4: "bearer-get", 6: "sock-get", 7: "publ-get", 8: "link-get", 11: "media-get", 13: "node-get", 14: "net-get",
		16: "name-table-get", 18: "mon-get", 19: "mon-peer-get", 22: "udp-get-remoteip"},
	"batadv": {4: "get-routing-algos", 5: "get-hardif", 6: "get-transtable-local", 7: "get-transtable-global", 8: "get-originators",
		9: "get-neighbors", 10: "get-gateways", 11: "get-bla-claim", 12: "get-bla-backbone", 13: "get-dat-cache", 14: "get-mcast-flags"},
	"bulkdump":        {1: "entry-get"},
	"dev-energymodel": {1: "get-perf-domains"},
	"devlink": {1: "get", 5: "port-get", 11: "sb-get", 15: "sb-pool-get", 19: "sb-port-pool-get", 23: "sb-tc-pool-bind-get",
		36: "resource-dump", 38: "param-get", 42: "region-get", 46: "region-read", 47: "port-param-get", 51: "info-get",
		52: "health-reporter-get", 56: "health-reporter-dump-get", 61: "trap-get", 65: "trap-group-get", 69: "trap-policer-get",
		74: "rate-get", 78: "linecard-get", 82: "selftests-get"},
	"drbd": {2: "get-status", 30: "get-resources", 31: "get-devices", 32: "get-connections", 33: "get-peer-devices", 38: "get-initial-state"},
	"ethtool": {1: "strset-get", 2: "linkinfo-get", 4: "linkmodes-get", 6: "linkstate-get", 7: "debug-get", 9: "wol-get", 11: "features-get",
		13: "privflags-get", 15: "rings-get", 17: "channels-get", 19: "coalesce-get", 21: "pause-get", 23: "eee-get", 25: "tsinfo-get",
		28: "tunnel-info-get", 29: "fec-get", 31: "module-eeprom-get", 32: "stats-get", 33: "phc-vclocks-get", 34: "module-get",
		36: "pse-get", 38: "rss-get", 39: "plca-get-cfg", 41: "plca-get-status", 42: "mm-get", 45: "phy-get", 46: "tsconfig-get",
		51: "mse-get"},
	"fou":        {3: "get"},
	"gtp":        {2: "getpdp"},
	"ila":        {3: "get"},
	"l2tp":       {4: "tunnel-get", 8: "session-get"},
	"macsec":     {0: "get-txsc"},
	"mptcp_pm":   {3: "get-addr"},
	"net-shaper": {1: "get", 5: "cap-get"},
	"netdev":     {1: "dev-get", 5: "page-pool-get", 9: "page-pool-stats-get", 10: "queue-get", 11: "napi-get", 12: "qstats-get"},
	"nfc":        {1: "get-device", 8: "get-target", 26: "get-se"},
	"nfsd":       {1: "rpc-status-get", 11: "svc-export-get-reqs", 13: "expkey-get-reqs", 19: "server-stats-get"},
	"nl80211": {1: "get-wiphy", 5: "get-interface", 17: "get-station", 21: "get-mpath", 31: "get-reg", 32: "get-scan", 45: "testmode",
		50: "get-survey", 103: "vendor", 107: "get-mpp"},
	"nl802154":     {1: "get-wpan-phy", 5: "get-interface", 22: "get-sec-key", 25: "get-sec-dev", 28: "get-sec-devkey", 31: "get-sec-level"},
	"nlctrl":       {3: "getfamily", 10: "getpolicy"},
	"ovpn":         {3: "peer-get"},
	"ovs_datapath": {3: "get"},
	"ovs_flow":     {3: "get"},
	"ovs_vport":    {3: "get"},
	"psample":      {1: "get-group"},
	"sunrpc":       {2: "ip-map-get-reqs", 4: "unix-gid-get-reqs"},
	"tcp_metrics":  {1: "get"},
	"thermal":      {1: "tz-get-id", 6: "cdev-get"},
	"vdpa":         {2: "mgmtdev-get", 5: "dev-get", 6: "dev-config-get"},
	"wireguard":    {0: "get-device"},
}

// commandName returns the name of a command of generic netlink, or its number.
func commandName(family string, command uint8) string {
	if name := Commands[family][command]; name != "" {
		return name
	}
	return strconv.Itoa(int(command))
}

// rdmaCommands are the operations of RDMA's client 5, which has all that dump.
var rdmaCommands = map[uint16]string{
	1: "get", 5: "port-get", 9: "res-get", 10: "res-qp-get", 11: "res-cm-id-get", 12: "res-cq-get", 13: "res-mr-get", 14: "res-pd-get",
	17: "stat-get", 19: "res-qp-get-raw", 20: "res-cq-get-raw", 21: "res-mr-get-raw", 22: "res-ctx-get", 23: "res-srq-get",
	25: "res-srq-get-raw",
}
