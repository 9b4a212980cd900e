# SPDX-License-Identifier: BSD-3-Clause
# make help lists the targets.
PREFIX = /usr/local
AS_ROOT = $(if $(filter-out 0,$(shell id -u)),sudo)
ACTIONLINT = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
SCRIPTS = .ci/run vm/run vm/deps vm/source test/cursors-check test/litmus/check test/module-path \
	$(addprefix kmod/scripts/,coccicheck gen gen-check new-family new-family-check package-check)

# The number that a variable holds, or another one if it is empty. A bad one is refused
# before anything starts.
number = $(if $($1),$(if $(call bad,$($1)),$(error $1=$($1): it is a number from 1 to 999999999),$($1)),$2)
numbers = $(if $($1),$(if $(strip $(foreach n,$($1),$(call bad,$n))),$(error $1=$($1): these are numbers from 1 to 999999999),$($1)),$2)
bad = $(shell case '$1' in (0* | *[!0-9]* | ??????????*) echo bad ;; esac)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a million records out of a real kernel, in a virtual machine
	vm/run -- demo

vm-test: ## the tests that need the module, in a virtual machine (RUN=regexp for some, KERNEL=7.3 for another)
	vm/run $(if $(KERNEL),--kernel $(KERNEL)) --modprobe netlink_diag $(UNZEROED) --timeout $(SUITE_TIMEOUT) --test $(if $(RUN),'$(value RUN)')
# Memory comes with what was in it before, so that bytes that nobody writes show.
UNZEROED = --append init_on_alloc=0
# A quiet machine needs five minutes.
SUITE_TIMEOUT = 2400

space = $() $()
# Each of ARCHS with each of KERNELS, or with all that it has.
on-archs = $(if $1,$(foreach a,$1,$(if $(KERNELS),$(addprefix $a:,$(KERNELS)),$a:)),$(KERNELS))
vm-matrix: ## the same on each kernel, with a table of the results (KERNELS="6.1 7.3" for some, ARCHS="arm64 s390x" on other machines)
	vm/run --modprobe netlink_diag $(UNZEROED) --timeout $(SUITE_TIMEOUT) --matrix $(call on-archs,$(ARCHS))

# Encodings, alignment, numbers of 64 bits, cursors, the change log, the client.
ARCH_TESTS = Cursors .*Page Since .*Columns Mirror Minimal Nested Encodings Padding Log FieldsBound Filters Refused Event Fill Set New$$ Walker \
	Tombstones RecordMax Module Messages Dump[^E] GetBy Sync Watch Intr Hash Stream FuzzRequests
ALL_ARCHS = arm64 armhf i386 ppc64el riscv64 s390x
vm-archs: ## the tests of what differs between machines, on each of them, with a table (ARCHS="s390x i386" for some, KERNELS=6.12)
	vm/run --modprobe netlink_diag --timeout $(SUITE_TIMEOUT) --only '^Test($(subst $(space),|,$(strip $(ARCH_TESTS))))' --matrix \
		$(call on-archs,$(or $(ARCHS),$(ALL_ARCHS)))

# Each path of the module once, because all tests take half an hour on debug.
QUICK = Faults Module NamespaceEndsWith OwnerOf TwoNamespaces Guard[^W] GrabUnder GrabTrace CursorsSendAll CursorsUnderFlush Walker IntrNotAfter Minimal Nested \
	Columns FieldsBound Filters RefusedRequests Killed RecordOutgrows New GetByNameUnder GetByNameInA GetByNameIs GetByNameAndID Set Delete$$ Flush Event Fill StreamAbandons SocketClosed PagesAreHeld TraceOf \
	AmongRemovals WatchTells WatchEnds SinceTells SinceRefuses Tombstones ProcUnder ProcOf Padding RecordMaxNever Hash SyncStartsOver
QUICK_TESTS = ^Test($(subst $(space),|,$(strip $(QUICK))))
vm-quick: ## a test of each path of the module, on a kernel with KASAN, lockdep and kmemleak (KERNEL=kcsan for another)
	vm/run --kernel $(or $(KERNEL),debug) --modprobe netlink_diag --test '$(QUICK_TESTS)'

# What is sent, and what is read of a request. Each test takes ten times as long there.
SENT = DirectIsPlain EncodingsCarry ColumnsOfLarge GenerationOn AnswerHas MultiAnd PaddingIs RecordIsThe RecordOutgrows Since(Tells|Carries|IsStale|AtThe|Refuses) \
	LogStarts ProcIs Event(OfEach|IsEchoed) Minimal Nested(Dump|Page) FuzzRequests Refused Short NewAndGet SetChanges StatsCount ModuleStays WatchTellsEach \
	GetByNameIs DumpWithEach SocketsWithParked
vm-kmsan: ## the tests of what is sent, on a kernel that finds memory that nobody wrote (it is built first: half an hour)
	vm/run --kernel kmsan --modprobe netlink_diag --timeout 5400 --test '^Test($(subst $(space),|,$(strip $(SENT))))'

vm-faults: ## each allocation of each operation fails once: how the operation ended, as a table (KERNEL=kcsan on another)
	vm/run --kernel $(or $(KERNEL),debug) --test '^TestFaults' -- -figures -every-fault

# Runs add up: each is a line of its own.
vm-coverage: ## the lines of kmod that the tests do not execute on kernel debug, each with its reason in test/coverage.txt (OUT=dir; RUN=regexp: only the table, of other tests)
	@out=$(if $(OUT),'$(abspath $(OUT))',$$(mktemp -d) && trap 'rm -r "$$out"' EXIT) && rm -f "$$out/coverage.info"; \
	status=0; count() { vm/run --kernel debug --coverage "$$out" "$$@" || status=$$?; }; \
	count --modprobe netlink_diag --test '$(if $(RUN),$(value RUN),$(QUICK_TESTS)|^Test(GetByName|Trace|SocketsWith|LogStarts|Reserved))'; \
	$(if $(RUN),,go run ./vm/uncovered -base kmod -reasons test/coverage.txt "$$out" || status=$$?;) exit $$status

# The stage debug has the tests of vm-quick.
MUTANTS_FLAGS = $(if $(MUTANTS),$(if $(filter-out quick,$(MUTANTS)),$(error MUTANTS=$(MUTANTS): it is quick or nothing),-quick)) \
	$(if $(OUT),-out $(abspath $(OUT))) $(if $(RUN),-only '$(value RUN)') \
	-debug '^Test($(subst $(space),|,$(strip $(QUICK))))' $(ARGS)
mutants: ## small wrong changes of kmod/ and nldump: which do the tests notice? (RUN=regexp, OUT=dir, ARGS=-list; or MUTANTS=quick, RUN=regexp)
	@go -C test/mutants run . $(MUTANTS_FLAGS)

mutants-profile: ## which tests reach which part of the module, for test/mutants/coverage.txt
	go -C test/mutants run . -profile

stress: ## a minute of random changes against running dumps (KERNEL=debug; SECONDS=600 CHANGES=6000000: until both are reached)
	vm/run $(if $(KERNEL),--kernel $(KERNEL)) --timeout 3600 --test '^TestStress$$' -- \
		-figures -stress $(call number,SECONDS,60)s -stress-changes $(call number,CHANGES,0)

# Static functions stay functions, so that calls of them can be delayed.
TORTURE_MODULES = --more-modules test/delay --make 'KCFLAGS=-fno-inline-functions-called-once -fno-inline-small-functions'
TORTURE_KERNELS = $(or $(KERNELS),debug kcsan $(if $(TORTURE),6.1 7.3))
TORTURE_CPUS = $(call numbers,CPUS,2 4)
TORTURE_SECONDS = $(if $(TORTURE),$$(($(call number,TORTURE) * 3600 / $(words $(TORTURE_KERNELS)) / $(words $(TORTURE_CPUS)))),30)
vm-torture: ## everything at once, with delays at named functions: minutes on each kernel, with 2 and 4 processors (TORTURE=3: three hours in all, KERNELS="debug 7.3", CPUS=2, SEED=N: as a failure prints it)
	@vm/run $(TORTURE_MODULES) --prepare $(TORTURE_KERNELS) && \
	seconds=$(TORTURE_SECONDS) status=0 && for kernel in $(TORTURE_KERNELS); do for cpus in $(TORTURE_CPUS); do \
		vm/run --kernel $$kernel --cpus $$cpus $(TORTURE_MODULES) --timeout $$((seconds + 1200)) \
			--test '^TestTorture$$' -- -figures -torture $${seconds}s -torture-delays 16 -torture-seed $(call number,SEED,1) || status=$$?; \
	done; done; exit $$status

# KCOV counts what is built with KCOV_INSTRUMENT.
fuzz-requests: ## requests of all kinds, held to a model of the family (REQUESTS=1000000, KERNEL=debug, SEED=N: as a failure prints it, OUT=dir for the lines that they reach)
	vm/run --kernel $(or $(KERNEL),debug) --make KCOV_INSTRUMENT=y --timeout 20000 $(if $(OUT),--coverage '$(abspath $(OUT))') \
		--test '^TestFuzzRequests$$' -- -figures -test.timeout 0 -requests $(call number,REQUESTS,1000000) -requests-seed $(call number,SEED,1)

litmus: ## the module's barriers in the kernel's memory model; needs herd7
	test/litmus/check

# Memory and time that must not grow with the table.
LARGE_TESTS = DumpExactlyOnceOverAMillion|ReaderMemoryIsFlat|SyncMemoryIsFlat|FilteredScanCanBeKilled|FilteredScanYields|SinceCostsWhatChanged|\
NamespaceEndsBesideParkedDump|FlushOfALargeTableUnderDumps|NamespacesComeAndGo
vm-large: ## the tests of what must not grow with the table, with ten million entries and ten thousand namespaces, in 8 GiB (KERNEL=7.3 on another)
	vm/run $(if $(KERNEL),--kernel $(KERNEL)) --mem 8192 --timeout 7200 \
		--test '^Test($(subst $(space),,$(LARGE_TESTS)))$$' -- -figures -entries 10000000 -namespaces 10000

cursors-check: ## fail if kmod/compare/README.md has another table of the cursors than the command prints (KERNEL=7.3 on another)
	test/cursors-check $(if $(KERNEL),--kernel $(KERNEL))

# BENCH=quick: one size and one kernel, those of the figures kept; BENCH=full: up
# to ten million entries.
BENCH_SIZES_quick = 100000
BENCH_SIZES_ = 10000 100000 1000000
BENCH_SIZES_full = 10000 100000 1000000 10000000
BENCH_PARALLEL = $(if $(filter quick,$(BENCH)),100000,1000000)
BENCH_KERNELS = $(or $(KERNELS),$(if $(filter quick,$(BENCH)),6.1,6.1 7.3))
BENCH_OUT = $(if $(OUT),-out $(abspath $(OUT)))
bench: ## how many instructions a record costs, by each way to read it (BENCH=quick|full, OUT=dir, RUN=regexp)
	go -C test/bench run . -kernels '$(BENCH_KERNELS)' \
		-sizes '$(BENCH_SIZES_$(BENCH))' -parallel $(BENCH_PARALLEL) $(BENCH_OUT) $(if $(RUN),-run '$(value RUN)')

bench-check: ## fail if a figure differs from test/bench/figures.json by more than 2 %, or 4 % in Go (RUN='go|columns' for some)
	go -C test/bench run . -check figures.json $(BENCH_OUT) $(if $(RUN),-run '$(value RUN)')

bench-profile: ## in which functions a record's instructions and cache misses are (CONTENDER='go columns', KERNEL=7.3)
	go -C test/bench run . -kernels $(or $(KERNEL),6.1) -sizes $(BENCH_SIZES_quick) -profile '$(or $(CONTENDER),go plain)'

bench-keep: ## measure those figures again, and rewrite the bench's README (RUN='go|columns' for some)
	go -C test/bench run . -kernels 6.1 -sizes $(BENCH_SIZES_quick) $(if $(RUN),-run '$(value RUN)',-parallel $(BENCH_PARALLEL)) -keep figures.json -readme README.md

COMPARE = vm/deps compare && go -C test/bench run ./compare
COUNTED = -count -kernel $(or $(KERNEL),6.1) -entries 20000 -rounds 3
compare: ## a million routes, neighbours, conntrack, xfrm policies, sockets, links: nldump, the Go libraries, libmnl, rust-netlink, ip and its like, timed (as root; KERNEL=6.1 in a virtual machine, COUNT=1 for instructions there, BENCH=quick, OUT=dir, RUN=regexp of tables, READERS=regexp)
	$(COMPARE) $(if $(COUNT),$(COUNTED),$(if $(KERNEL),-kernel $(KERNEL))) $(if $(filter quick,$(BENCH)),-entries 20000 -rounds 1) \
		$(BENCH_OUT) $(if $(RUN),-run '$(value RUN)') $(if $(READERS),-readers '$(value READERS)')

compare-keep: ## measure that again, for the pictures and tables of the bench's README (COUNT=1 for those of instructions)
	$(COMPARE) $(if $(COUNT),$(COUNTED)) -out pictures -readme README.md

compare-check: ## fail if nldump takes more instructions for a route, a link … than are kept (RUN=routes for one table)
	go -C test/bench run ./compare $(COUNTED) -check pictures/compare-counted.json -readers '^bulkdump|^bare' $(if $(RUN),-run '$(value RUN)')

# What test/tools runs, and what it reads: the newest kernel's YNL tool, schema
# and the family's spec among the kernel's own.
TOOLS = --packages python3,python3-yaml,python3-jsonschema,iproute2,tshark \
	--packages nftables,ipset,conntrack,wireguard-tools,ethtool,iw \
	$(patsubst %,--modprobe '%',nlmon veth $(TOLD)) \
	--add $$source/tools/net/ynl:/ynl --add $$source/Documentation/netlink:/netlink \
	--add kmod/bulkdump.yaml:/netlink/specs --add client/nldump/doc.go:/nldump/doc.go --test-dir test/tools

# The modules whose dumps TestWhichDumpsTell looks at. Not each kernel has those
# with a ?.
TOLD = dummy bridge mpls_router sch_htb cls_flower act_gact nf_tables nft_quota nf_flow_table_inet nfnetlink_hook? \
	ip_set_hash_ip nf_conntrack_netlink xfrm_user tcp_diag udp_diag unix_diag netlink_diag \
	wireguard macsec l2tp_netlink l2tp_eth tipc fou mac80211_hwsim?

vm-tools: ## the module with stock tools, on each kernel: YNL, genl, tshark, ip, ss (KERNELS="6.1 7.3" for some, RUN=regexp ROUTES=20000)
	source=$$(vm/source) && $(if $(RUN),for kernel in $(or $(KERNELS),6.1 6.12 7.3); do \
		vm/run --kernel $$kernel $(TOOLS) --test '$(value RUN)' -- -routes $(call number,ROUTES,100000) || exit; done,vm/run $(TOOLS) --matrix $(KERNELS))

told-table: ## measure again which dumps tell of a change, for nldump's documentation
	@out=$$(mktemp -d) && source=$$(vm/source) && \
	for kernel in 6.1 6.12 7.3; do vm/run --kernel $$kernel $(TOOLS) --out $$out/$$kernel --test '^TestWhichDumpsTell$$' || true; done && \
	go test -count=1 ./test/tools -run '^TestToldTable' -told $$out && rm -r $$out

vm-arrow: ## the test of bulkdump-arrow with the module, in a virtual machine (KERNEL=7.3 on another)
	vm/run $(if $(KERNEL),--kernel $(KERNEL)) --test-dir cmd/bulkdump-arrow --test '^TestKernel$$'

vm-nldump: ## the tests of nldump with the kernel's own dumps, on each kernel (KERNELS=7.3 for some)
	for kernel in $(or $(KERNELS),6.1 6.12 7.3); do \
		vm/run --kernel $$kernel --no-module --modprobe veth --modprobe bridge --modprobe team --modprobe nf_tables \
			--test-dir client/nldump --test '^TestKernel' || exit; \
	done

BROKEN = --module-dir kmod/broken --add kmod/broken/bulkdump_broken.h
vm-broken: ## each bug of kmod/broken shows, on each kernel (KERNELS="6.1 debug" for some)
	vm/run $(BROKEN) --test-dir test/broken --matrix $(or $(KERNELS),6.1 6.12 7.3)

dumpcheck-proof: ## dumpcheck finds each bug of kmod/broken by the check that is there for it, and nothing in sound dumps (KERNELS=6.1 for some; PROOF=quick: only that check, PROOF=one: and only one bug for each)
	for kernel in $(or $(KERNELS),6.1 6.12 7.3 debug); do \
		vm/run --kernel $$kernel $(BROKEN) --add kmod/broken/README.md --env PROOF=$(PROOF) --test-dir test/dumpcheck --timeout 3600 \
			$(if $(OUT),--out $(OUT)/$$kernel/broken) --test 'TestBroken|TestSoundCommand' && \
		vm/run --kernel $$kernel --test-dir test/dumpcheck $(if $(OUT),--out $(OUT)/$$kernel/sound) --test TestSoundModules || exit; \
	done

# What test/every runs, and what it has dumped: each of the kernel's modules that
# registers something with netlink, each kind of link, and what the objects need.
EVERY = --packages iproute2,nftables,ipset,conntrack,wireguard-tools,iw,ipvsadm,netlabel-tools \
	$(addprefix --modprobe-users ,genl_register_family nfnetlink_subsys_register sock_diag_register inet_diag_register \
		rtnl_register_module __rtnl_register_many __netlink_kernel_create rdma_nl_register rtnl_link_register __rtnl_link_register) \
	$(patsubst %,--modprobe '%?',8021q vcan sch_htb sch_ingress cls_u32 cls_flower act_gact act_sample \
		nft_ct nft_limit nft_quota nf_flow_table nf_flow_table_inet ip_set_hash_ip ah4 ip_vs_rr l2tp_eth vsock_loopback) \
	--test-dir test/every
EVERY_KERNELS = $(or $(KERNELS),6.1 6.12 7.3)

every-dump: ## every dump that a kernel has, read by nldump and by a reader in C, and compared (KERNELS=7.3 for some)
	@vm/deps run bench && dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	gcc -O2 -Wall -Wextra -Werror -static -o "$$dir/every-reader" test/every/c/reader.c && status=0 && \
	vm/run $(EVERY) --add "$$dir/every-reader:/bin/every-reader" --out "$$dir" --matrix $(EVERY_KERNELS) || status=$$?; \
	for k in $(EVERY_KERNELS); do echo; echo "$$k:"; sed -n '/^FAMILY/,/^$$/p' "$$dir/$$k/stdout"; done; exit $$status

findings: ## dumpcheck on every dump that a kernel has, held to FINDINGS.md (KERNELS=7.3 for some, OUT=dir)
	for kernel in $(EVERY_KERNELS); do \
		vm/run --kernel $$kernel $(EVERY) --add cmd/dumpcheck/FINDINGS.md --timeout 3600 $(if $(OUT),--out $(OUT)/$$kernel) \
			--test TestFindings || exit; \
	done

vm-selftest: ## inject each fault that the harness must find (ARGS='--kernel debug,arm64:6.1' for some, ARGS=--quick)
	go run ./vm/selftest $(ARGS)

vm-boots: ## boot guests, more at a time than there are processors: how many come up, and why others do not (BOOTS=2000, JOBS=8, KERNEL=debug, OUT=dir)
	@vm/boots $(call number,BOOTS,100) $(call number,JOBS,4) $(if $(KERNEL),--kernel $(KERNEL)) $(if $(OUT),--out "$(abspath $(OUT))/N")

kernels: ## fetch and build the kernels that the tests run on (KERNELS="debug kcsan" for some)
	vm/run --prepare $(KERNELS)

vm-shell: ## a shell in the virtual machine, with the module loaded
	vm/run --shell

install: ## build and install modules, programs, manual pages and completions (DESTDIR=, PREFIX=/usr/local)
	$(MAKE) -C kmod modules
	$(MAKE) -C kmod modules_install $(if $(DESTDIR),INSTALL_MOD_PATH=$(abspath $(DESTDIR)))
	install -d $(DESTDIR)$(PREFIX)/bin
	CGO_ENABLED=0 go build -trimpath -o $(abspath $(DESTDIR)$(PREFIX)/bin)/ ./cmd/...
	$(call document,bulkdump)
	$(call document,dumpcheck)

define document
	go run ./cmd/$(1) man $(DESTDIR)$(PREFIX)/share/man/man1
	$(call complete,$(1),bash,bash-completion/completions/$(1))
	$(call complete,$(1),zsh,zsh/site-functions/_$(1))
	$(call complete,$(1),fish,fish/vendor_completions.d/$(1).fish)
endef

complete = install -d $(dir $(DESTDIR)$(PREFIX)/share/$(3)) && \
	go run ./cmd/$(1) completion $(2) >$(DESTDIR)$(PREFIX)/share/$(3)

load: ## build the module and load it (PARAMS="guard=grab")
	@test ! -e /sys/module/bulkdump || { echo "bulkdump is loaded already: make unload first" >&2; exit 1; }
	$(MAKE) -C kmod modules
	$(AS_ROOT) insmod kmod/bulkdump.ko $(PARAMS)

unload: ## unload the module
	$(AS_ROOT) rmmod bulkdump

package-check: ## dkms.conf and modules_install, in a build root
	kmod/scripts/package-check

new-family: ## start a family of your own from kmod/minimal (NAME=foo DIR=../foo; KIND=nested: objects with children)
	@kmod/scripts/new-family "$${NAME-}" "$${DIR-}" "$${KIND-minimal}"

new-family-check: ## test what new-family refuses, and the families that it makes, in a virtual machine
	kmod/scripts/new-family-check

# The Go modules. ./... in one leaves out the others.
MODULES = . client cmd/bulkdump-arrow test/bench test/mutants
in-each-module = set -e; for m in $(MODULES); do (cd $$m && $(1)); done

test: ## the tests that need no virtual machine
	$(call in-each-module,go test ./...)

fuzz-reader: ## nldump reads scripted sockets, held to a model (DATAGRAMS=10000000; CONVERSATION=N: from that one on, as a failure prints it)
	go -C client test ./nldump -count=1 -timeout 0 -v -run '^TestConversations$$' \
		-datagrams $(call number,DATAGRAMS,10000000) -conversation $(call number,CONVERSATION,0)

lint: gofmt vet staticcheck shellcheck actionlint checkpatch coccicheck kmod-check ## everything that checks the source

actionlint:
	go run $(ACTIONLINT)

gofmt:
	@out=$$(gofmt -l client cmd kmod test vm); test -z "$$out" || { echo "not gofmt-ed: $$out"; exit 1; }

vet:
	$(call in-each-module,go vet ./...)

staticcheck:
	$(call in-each-module,go run $(STATICCHECK) ./...)

shellcheck:
	@vm/deps lint
	shellcheck $(SCRIPTS)

# Left out are the rules that compat.h exists to break, those that need a newer
# kernel than 6.1, and in trace.h those that every trace header breaks.
CHECKPATCH = $$(vm/source)/scripts/checkpatch.pl --no-tree --strict --terse -q --no-summary
UNCHECKED = %_gen.c %_gen.h kmod/compat.c kmod/compat.h kmod/trace.h
checkpatch:
	@$(CHECKPATCH) --ignore ALLOC_WITH_SIZEOF \
		-f $(filter-out $(UNCHECKED),$(wildcard kmod/*.[ch] kmod/compare/*.[ch] kmod/minimal/*.c kmod/minimal/nested/*.c kmod/broken/*.[ch] vm/selftest/kmod/*.c test/delay/*.c))
	@$(CHECKPATCH) --ignore OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT -f kmod/trace.h

coccicheck: ## the kernel's own coccinelle rules that apply
	kmod/scripts/coccicheck

# One after the other, on Debian's kernels.
kmod-check: ## build all modules for each kernel; a warning of gcc (W=1) or sparse (C=1) is an error
	vm/run --prepare 6.1 6.12 7.3
	vm/run --module-dir vm/selftest/kmod --prepare 6.1 6.12 7.3
	vm/run --module-dir kmod/broken --prepare 6.1 6.12 7.3
	vm/run --module-dir test/delay --prepare 6.1 6.12 7.3

# PATH on the command line is also the recipe's own. The PATH that make was
# started with is in /proc.
module-path: ## give the Go modules another path (PATH=example.org/x/bulkdump; PATH=bulkdump undoes it)
	@to=$(if $(filter command,$(origin PATH)),$$PATH); \
	PATH=$$(command -p tr '\0' '\n' </proc/$$PPID/environ | command -p sed -n 's/^PATH=//p') && \
	test/module-path "$$to"

gen: ## regenerate from kmod/bulkdump.yaml
gen-check: ## fail if that changes anything
gen gen-check:
	$(MAKE) -s -C kmod $@
	go -C client run ./internal/gen $(if $(filter gen-check,$@),-check) -spec ../kmod/bulkdump.yaml -o .

.PHONY: help demo mutants mutants-profile vm-test vm-quick vm-kmsan vm-faults vm-coverage vm-matrix vm-archs stress vm-torture fuzz-requests litmus vm-large bench bench-check bench-profile bench-keep vm-tools vm-broken dumpcheck-proof compare compare-keep compare-check told-table vm-arrow vm-nldump cursors-check vm-selftest vm-boots kernels vm-shell install load unload package-check every-dump findings new-family new-family-check test fuzz-reader lint gofmt vet staticcheck shellcheck actionlint checkpatch coccicheck kmod-check module-path gen gen-check
