// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"
	"io"
	"os/user"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bulkdump/cmd/dumpcheck/internal/check"
	"bulkdump/cmd/dumpcheck/internal/report"
	"bulkdump/cmd/internal/cli"
	"bulkdump/cmd/internal/term"
)

// app is the program. Tests replace what it touches.
type app struct {
	stdout   io.Writer
	width    func() int // of stdout; nil: it is no terminal
	stderr   *term.Console
	kernel   kernel
	checks   []check.Check
	patience time.Duration

	flags
	changer *shellChanger  // of --change
	running bool           // the command line was understood
	verdict report.Verdict // of the run
}

// flags are what the command line says.
type flags struct {
	all, list, here, verbose, json, ktap, schema, version bool

	explain   string // everything: all that there is, or what the arguments say
	output    string
	color     term.When
	junit     string
	only      []string
	ignore    []string
	spec      []string
	attrs     []string
	key       string
	change    string
	second    string
	user      string
	rounds    number
	pages     number
	bytes     number
	wait      time.Duration
	checkTime time.Duration
	timeout   time.Duration
}

// everything is the value of --explain alone.
const everything = "all"

// The formats.
var formats = []string{"table", "json", "jsonl", "ktap"}

// number is the value of a flag: a number from 1 on.
type number int

func (n *number) Set(text string) error {
	v, err := strconv.Atoi(text)
	if err != nil || v < 1 || v > 1<<30 {
		return fmt.Errorf("must be a number from 1 on, up to %d", 1<<30)
	}
	*n = number(v)
	return nil
}

func (n *number) String() string { return strconv.Itoa(int(*n)) }
func (n *number) Type() string   { return "N" }

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "dumpcheck FAMILY [COMMAND]",
		Short: "Look for bugs in a netlink dump",
		Long: `dumpcheck takes a netlink dump in many ways, and says what is wrong with it:
what it found, the bytes that show it, and which rule of a correct dump is
broken. FAMILY is a family of generic netlink, or a protocol and a table, such
as route links. Without COMMAND, all dumps of the family are checked.

A finding is broken (wrong data, or no end), weak (a reader cannot rely on the
dump), or a note (worth knowing, and by design in other dumps of the kernel).
The worst comes first. --explain tells what a check does, and the rule.

Some checks change the table. If dumpcheck knows how to change it, they do so in
a network namespace of their own, which is gone afterwards. With --change, they
do so where dumpcheck runs, and what was added is removed. With --here, it takes
the table of this namespace as it is. Most checks need root. Without, they say
so.

Exit codes: 0 nothing worse than a note, 1 broken, 2 weak, 3 wrong usage, 4
nothing to check: no such family or dump, or no permission, 5 failed, or not
everything was checked, 130 ended by SIGINT, 143 by SIGTERM. If the run is cut
short, the report has what was checked, and says that the rest was not. The
codes suit kselftest, which takes 2 for a failure that is expected, and 4 for
skipped.`,
		Example: `  dumpcheck foo                                # all dumps of family foo
  dumpcheck foo entry-get --spec foo.yaml      # one of them; with names
  dumpcheck foo --key 1 --change './change.sh $OP $N'
  dumpcheck nlctrl getfamily --second 'genl ctrl list | grep ^Name'
  dumpcheck --all -o ktap                      # everything that this kernel has
  dumpcheck --explain key                      # what a check does, and the rule
  dumpcheck --list`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              func(*cobra.Command, []string) error { return nil },
		RunE:              a.root,
		ValidArgsFunction: a.completeTargets,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	a.rounds, a.wait, a.checkTime, a.timeout, a.user = 5, 5*time.Second, 10*time.Second, 30*time.Minute, "nobody"
	a.pages, a.bytes = 1<<20, 64<<20
	f := root.Flags()
	f.BoolVar(&a.all, "all", false, "check all dumps that this kernel has")
	f.BoolVar(&a.list, "list", false, "list the dumps, and check nothing")
	f.StringVar(&a.explain, "explain", "", "explain checks, or rules: their `ID`s or numbers; without any, list the checks")
	f.Lookup("explain").NoOptDefVal = everything // and an argument follows
	f.StringSliceVar(&a.only, "only", nil, "run only these checks, and the first one: `CHECK[,CHECK]`")
	f.StringSliceVar(&a.ignore, "ignore", nil, "what these checks find is expected, and does not count: `CHECK[,CHECK]`")

	f.StringArrayVar(&a.spec, "spec", nil, "names of operations and attributes: a YNL spec, or a directory of them: `FILE|DIR`")
	f.StringArrayVar(&a.attrs, "attr", nil, "an attribute that the request needs: `ATTR=VALUE`")
	f.StringVar(&a.key, "key", "", "what tells records apart: attributes `ATTR[,ATTR]`; found by trying if it is not given")
	f.StringVar(&a.change, "change", "", "shell command that changes the table: `CMD` has $OP (add, remove, set) and $N, the object's number, from 0")
	f.StringVar(&a.second, "second", "", "shell command that prints a line for each record, as another reader sees the table: `CMD`")
	f.StringVar(&a.user, "as-user", a.user, "who takes the part of somebody without rights: `USER|UID`")
	f.BoolVar(&a.here, "here", false, "check the table of this network namespace, not one that is made for it")

	f.Var(&a.rounds, "rounds", "how often to repeat checks that depend on luck")
	cli.TimeFlag(root, &a.wait, "wait", "the longest wait for a page, a `TIME` such as 500ms")
	cli.TimeFlag(root, &a.checkTime, "check-time", "how long one check may repeat itself, a `TIME`; three times as long where changes are slow")
	cli.TimeFlag(root, &a.timeout, "timeout", "end the run after this `TIME`, such as 90s or 2h; 0: no limit")
	f.Var(&a.pages, "max-pages", "treat a dump as endless after this many pages")
	f.Var(&a.bytes, "max-bytes", "treat a dump as endless after this many bytes")

	f.StringVarP(&a.output, "output", "o", formats[0], "`FORMAT` of the report: "+strings.Join(formats, "|"))
	f.BoolVar(&a.json, "json", false, "same as -o json")
	f.BoolVar(&a.ktap, "ktap", false, "same as -o ktap")
	f.StringVar(&a.junit, "junit", "", "write a JUnit report, too, into `FILE`")
	f.Var(&a.color, "color", "color the report: `WHEN` is auto, always or never")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "leave nothing out")
	f.BoolVar(&a.schema, "schema", false, "print the JSON Schema of the report")
	f.BoolVar(&a.version, "version", false, "print the version of this program")
	root.AddCommand(cli.Completion("dumpcheck", a.stdout, func() { a.running = true }), cli.Man("dumpcheck", func() { a.running = true }))
	values := map[string][]string{
		"output": formats, "color": {string(term.Auto), string(term.Always), string(term.Never)}, "only": a.ids(), "ignore": a.ids(),
	}
	for name, of := range values {
		// It fails only for a flag that is missing, or registered twice.
		_ = root.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(of, cobra.ShellCompDirectiveNoFileComp))
	}
	return root
}

// ids are the names of the checks.
func (a *app) ids() []string {
	var ids []string
	for _, c := range a.checks {
		ids = append(ids, c.ID)
	}
	return ids
}

// root does what the flags say.
func (a *app) root(cmd *cobra.Command, args []string) error {
	for _, name := range []string{"key", "change", "second", "junit", "as-user"} {
		if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
			return usagef("--%s is empty", name)
		}
	}
	for _, group := range [][]string{{"all", "list", "explain", "schema", "version"}, {"output", "json", "ktap"}} {
		given := slices.DeleteFunc(group, func(name string) bool {
			return !cmd.Flags().Changed(name) || cmd.Flags().Lookup(name).Value.String() == "false"
		})
		if len(given) > 1 {
			return usagef("--%s and --%s exclude each other", given[0], given[1])
		}
	}
	if err := a.understand(args); err != nil {
		return err
	}
	a.running = true
	switch {
	case a.version:
		_, err := fmt.Fprintln(a.stdout, "dumpcheck", version(debug.ReadBuildInfo()))
		return err
	case a.schema:
		_, err := a.stdout.Write(report.SchemaText)
		return err
	case a.explain != "":
		ids := strings.Split(strings.Join(append([]string{a.explain}, args...), ","), ",")
		args = slices.DeleteFunc(ids, func(id string) bool { return id == everything })
		return a.explainAll(args)
	}
	ctx, cancel := cmd.Context(), context.CancelFunc(func() {})
	if a.timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, a.timeout, fmt.Errorf("not done within %v: give a longer --timeout", a.timeout))
	}
	defer cancel()
	targets, err := a.find(ctx, args)
	if err != nil && (a.list || ctx.Err() == nil) {
		return err
	}
	if a.list {
		return a.listTargets(targets)
	}
	return a.check(ctx, targets) // of none, if the run has ended meanwhile: the report says so
}

// understand says what is wrong with the command line.
func (a *app) understand(args []string) error {
	switch {
	case a.json:
		a.output = "json"
	case a.ktap:
		a.output = "ktap"
	}
	if !slices.Contains(formats, a.output) {
		return usagef("there is no output format %q, only %s", a.output, strings.Join(formats, ", "))
	}
	if err := checkNames("--only", a.only, a.ids()); err != nil {
		return err
	}
	if err := checkNames("--ignore", a.ignore, a.ids()); err != nil {
		return err
	}
	if slices.Contains(args, "") {
		return usagef("a family has no name")
	}
	asked := a.list || a.explain != "" || a.schema || a.version
	switch {
	case (a.all || a.schema || a.version) && len(args) > 0:
		return usagef("%q: a family makes no sense here", args[0])
	case !a.all && !asked && len(args) == 0:
		return usagef("give a family, or --all")
	case a.all && (a.key != "" || a.change != "" || a.second != "" || len(a.attrs) > 0):
		return usagef("--key, --attr, --change and --second are for one family, not for --all")
	case a.list && a.output != formats[0]:
		return usagef("--list has no output format %q", a.output)
	}
	if _, err := a.uid(); err != nil {
		return err
	}
	return nil
}

// uid is the number of --as-user.
func (a *app) uid() (uint32, error) {
	if n, err := strconv.ParseUint(a.user, 10, 32); err == nil {
		switch n {
		case 0:
			return 0, usagef("--as-user: user 0 has all rights")
		case 1<<32 - 1:
			return 0, usagef("--as-user: %d is no user", n)
		}
		return uint32(n), nil
	}
	const nobody = 65534
	u, err := user.Lookup(a.user)
	if err != nil {
		if a.user == "nobody" { // a guest has no /etc/passwd
			return nobody, nil
		}
		return 0, usagef("--as-user: there is no user %q", a.user)
	}
	n, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil || n == 0 {
		return 0, usagef("--as-user: user %q has the number %q: it must be one without rights", a.user, u.Uid)
	}
	return uint32(n), nil
}
