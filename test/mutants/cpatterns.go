// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"regexp"
	"slices"
	"strings"
)

// A cpattern makes wrong changes of a function in C. README.md lists them.
type cpattern struct {
	name string
	make func(f cfunction, change func(edits ...edit))
}

var cpatterns = []cpattern{
	{"acquire-relaxed", acquireRelaxed},
	{"assignment-lost", statementsLost(func(s *statement) bool {
		return s.kind == assignment && s.toks[assignAt(s.toks)].text == "="
	})},
	{"barrier-lost", statementsLost(func(s *statement) bool { return s.kind == call && isBarrier(s.callee()) })},
	{"boundary", each(boundary)},
	{"call-lost", statementsLost(func(s *statement) bool {
		return s.kind == call && !isBarrier(s.callee()) && !isRelease(s.callee()) && !isCount(s.callee()) &&
			s.callee() != "memset" && lockPairs[s.callee()] == ""
	})},
	{"check-lost", checkLost},
	{"errno", each(errno)},
	{"flag-lost", flagLost},
	{"freed-early", freedEarly},
	{"increment-lost", statementsLost(func(s *statement) bool {
		return s.kind == count || s.kind == call && isCount(s.callee()) ||
			s.kind == assignment && slices.Contains([]string{"+=", "-="}, s.toks[assignAt(s.toks)].text)
	})},
	{"lock-lost", lockLost},
	{"negated", negated},
	{"off-by-one", each(offByOne)},
	{"once-lost", onceLost},
	{"operand-lost", operandLost},
	{"rcu-plain", each(renamed(map[string]string{
		"hlist_del_rcu": "hlist_del", "hlist_add_head_rcu": "hlist_add_head", "list_del_rcu": "list_del",
		"list_add_tail_rcu": "list_add_tail",
	}))},
	{"release-lost", statementsLost(func(s *statement) bool { return s.kind == call && isRelease(s.callee()) })},
	{"result-dropped", resultDropped},
	{"return-changed", returnChanged},
	{"swapped", swapped},
	{"uncharged", each(renamed(map[string]string{"GFP_KERNEL_ACCOUNT": "GFP_KERNEL"}))},
	{"unkillable", unkillable},
	{"zeroing-lost", zeroingLost},
}

// mutateC makes all mutants of a C source.
func mutateC(file, src string) []*mutant {
	var all []*mutant
	for _, f := range functions(src) {
		for _, p := range cpatterns {
			p.make(f, func(edits ...edit) {
				if m := newMutant(p.name, file, f.name, src, edits); m != nil {
					all = append(all, m)
				}
			})
		}
	}
	return all
}

// each makes a change for each token for which one is found.
func each(find func(toks []ctoken, i int) (edit, bool)) func(cfunction, func(...edit)) {
	return func(f cfunction, change func(...edit)) {
		for i := range f.toks {
			if e, ok := find(f.toks, i); ok {
				change(e)
			}
		}
	}
}

func replaced(t ctoken, text string) edit { return edit{t.at, t.end(), text} }

func renamed(names map[string]string) func([]ctoken, int) (edit, bool) {
	return func(toks []ctoken, i int) (edit, bool) {
		to := names[toks[i].text]
		return replaced(toks[i], to), to != "" && toks[i].kind == word
	}
}

// acquireRelaxed leaves of an acquire or a release only the access.
func acquireRelaxed(f cfunction, change func(...edit)) {
	each(renamed(map[string]string{"atomic64_read_acquire": "atomic64_read", "atomic64_set_release": "atomic64_set"}))(f, change)
	for i, t := range f.toks {
		once := map[string]string{"smp_load_acquire": "READ_ONCE", "smp_store_release": "WRITE_ONCE"}[t.text]
		if once == "" || i+2 >= len(f.toks) {
			continue
		}
		if pointer := f.toks[i+2]; pointer.text == "&" {
			change(replaced(t, once), replaced(pointer, ""))
		} else {
			change(replaced(t, once), edit{pointer.at, pointer.at, "*"})
		}
	}
}

func boundary(toks []ctoken, i int) (edit, bool) {
	to := map[string]string{"<": "<=", "<=": "<", ">": ">=", ">=": ">"}[toks[i].text]
	return replaced(toks[i], to), to != ""
}

func errno(toks []ctoken, i int) (edit, bool) {
	if i == 0 || toks[i-1].text != "-" || !regexp.MustCompile(`^E[A-Z0-9]{3,}$`).MatchString(toks[i].text) {
		return edit{}, false
	}
	to := "EIO"
	if toks[i].text == to {
		to = "EINVAL"
	}
	return replaced(toks[i], to), true
}

// offByOne loses a + 1 or - 1, and makes a largest value one smaller.
func offByOne(toks []ctoken, i int) (edit, bool) {
	t := toks[i]
	if (t.text == "+" || t.text == "-") && i > 0 && i+1 < len(toks) && toks[i+1].text == "1" {
		return edit{toks[i-1].end(), toks[i+1].end(), ""}, true
	}
	if strings.HasSuffix(t.text, "_MAX") && isMacroName(t.text) && (i+1 == len(toks) || toks[i+1].text != "(") {
		return replaced(t, "("+t.text+" - 1)"), true
	}
	return edit{}, false
}

func lost(s *statement) edit { return edit{s.start(), s.end(), ""} }

func statementsLost(choose func(*statement) bool) func(cfunction, func(...edit)) {
	return func(f cfunction, change func(...edit)) {
		for _, s := range f.statements() {
			if s != nil && choose(s) {
				change(lost(s))
			}
		}
	}
}

var barrierName = regexp.MustCompile(`^(smp_(r|w)?mb|smp_mb__(before|after)_atomic|barrier|synchronize_rcu|rcu_barrier)$`)

func isBarrier(name string) bool { return barrierName.MatchString(name) }

var countName = regexp.MustCompile(`^atomic(64)?_(inc|dec|add|sub)$`)

func isCount(name string) bool { return countName.MatchString(name) }

var releaseName = regexp.MustCompile(`free|unlock|release|unreserve|unregister|destroy|cancel|remove|erase|_del\b|_del_|clear|(^|_)(put|end|exit|done)$`)

// isRelease: one step of an unwind, or of an end.
func isRelease(name string) bool { return releaseName.MatchString(name) }

// lockPairs are locks and what releases them.
var lockPairs = map[string]string{
	"mutex_lock": "mutex_unlock", "spin_lock": "spin_unlock", "spin_lock_bh": "spin_unlock_bh",
	"rcu_read_lock": "rcu_read_unlock",
}

// lockLost loses a lock with each of its releases in the function.
func lockLost(f cfunction, change func(...edit)) {
	all := f.statements()
	for i, s := range all {
		if s == nil || s.kind != call || lockPairs[s.callee()] == "" {
			continue
		}
		edits := []edit{lost(s)}
		for _, u := range all[i+1:] {
			if u == nil || u.kind != call {
				continue
			}
			if u.callee() == s.callee() {
				break // the lock is taken again
			}
			if u.callee() == lockPairs[s.callee()] {
				edits = append(edits, lost(u))
			}
		}
		if len(edits) > 1 {
			change(edits...)
		}
	}
}

func checkLost(f cfunction, change func(...edit)) {
	for _, b := range f.branches() {
		change(edit{b.cond.start(), b.cond.start(), "("}, edit{b.cond.end(), b.cond.end(), ") && 0"})
	}
}

func negated(f cfunction, change func(...edit)) {
	for _, b := range f.branches() {
		change(edit{b.cond.start(), b.cond.start(), "!("}, edit{b.cond.end(), b.cond.end(), ")"})
	}
}

// operandLost loses one side of an && or || of a condition or a value.
func operandLost(f cfunction, change func(...edit)) {
	for i, t := range f.toks {
		if t.text != "&&" && t.text != "||" {
			continue
		}
		first, last := operandStart(f.toks, i), operandEnd(f.toks, i)
		if first == i || last == i {
			continue
		}
		change(edit{f.toks[first].at, f.toks[i+1].at, ""})
		change(edit{f.toks[i-1].end(), f.toks[last].end(), ""})
	}
}

// operandStart is the index of the first token of what is on the left of the
// operator at i.
func operandStart(toks []ctoken, i int) int {
	for first := i; first > 0; first-- {
		if before := toks[first-1].text; before == ")" || before == "]" {
			first = opening(toks, first-1) + 1
		} else if endsOperand(before) {
			return first
		}
	}
	return i
}

// operandEnd is the index of the last token of what is on its right.
func operandEnd(toks []ctoken, i int) int {
	for last := i; last+1 < len(toks); last++ {
		if after := toks[last+1].text; after == "(" || after == "[" {
			last = closing(toks, last+1) - 1
		} else if endsOperand(after) {
			return last
		}
	}
	return i
}

func endsOperand(text string) bool {
	return slices.Contains([]string{"(", ")", "[", "]", "{", "}", "&&", "||", ",", ";", "?", ":", "=", "return", "if", "while"}, text)
}

// flagLost loses a constant of an OR.
func flagLost(f cfunction, change func(...edit)) {
	for i, t := range f.toks {
		if i == 0 || i+1 >= len(f.toks) {
			continue
		}
		before, after := f.toks[i-1], f.toks[i+1]
		switch {
		case t.text == "|" && isMacroName(after.text) && after.kind == word:
			change(edit{before.end(), after.end(), ""})
		case t.text == "|=":
			end := i + 1
			for end < len(f.toks) && f.toks[end].text != ";" {
				end++
			}
			change(edit{after.at, f.toks[min(end, len(f.toks)-1)].at, "0"})
		}
	}
}

// freedEarly frees at once what readers under RCU may still see.
func freedEarly(f cfunction, change func(...edit)) {
	for i, t := range f.toks {
		plain := map[string]string{"kfree_rcu": "kfree", "kvfree_rcu": "kvfree"}[t.text]
		if plain == "" {
			continue
		}
		end := closing(f.toks, i+1)
		for j := i + 2; j < end; j++ {
			if f.toks[j].text == "," {
				change(replaced(t, plain), edit{f.toks[j].at, f.toks[end].at, ""})
				break
			}
		}
	}
}

func onceLost(f cfunction, change func(...edit)) {
	for i, t := range f.toks {
		if i+1 >= len(f.toks) || f.toks[i+1].text != "(" {
			continue
		}
		switch t.text {
		case "READ_ONCE":
			change(replaced(t, ""))
		case "WRITE_ONCE":
			end := closing(f.toks, i+1)
			for j := i + 2; j < end; j++ {
				if f.toks[j].text == "(" {
					j = closing(f.toks, j)
				} else if f.toks[j].text == "," {
					change(edit{t.at, f.toks[i+1].end(), ""}, replaced(f.toks[j], " ="), edit{f.toks[end].at, f.toks[end].end(), ""})
					break
				}
			}
		}
	}
}

// resultDropped calls a function and takes no notice of what it returns.
func resultDropped(f cfunction, change func(...edit)) {
	for _, s := range f.statements() {
		if s == nil || s.kind != assignment {
			continue
		}
		at := assignAt(s.toks)
		if at == 1 && slices.Contains([]string{"err", "ret"}, s.toks[0].text) && s.toks[at].text == "=" &&
			strings.Contains(f.src[s.toks[at].at:s.end()], "(") {
			change(edit{s.toks[at+1].at, s.toks[at+1].at, "("}, edit{s.end(), s.end(), ", 0)"})
		}
	}
}

func returnChanged(f cfunction, change func(...edit)) {
	for _, s := range f.statements() {
		if s == nil || s.callee() != "return" || len(s.toks) < 2 {
			continue
		}
		to := map[string]string{"err": "0", "true": "false", "false": "true"}[s.toks[1].text]
		switch {
		case len(s.toks) == 2 && to != "":
			change(replaced(s.toks[1], to))
		case s.toks[1].text == "-" && len(s.toks) == 3:
			change(edit{s.toks[1].at, s.end(), "0"})
		}
	}
}

// swapped changes the order of two neighbours. One of them calls a function: the
// order of two plain assignments hardly ever matters.
func swapped(f cfunction, change func(...edit)) {
	all := f.statements()
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		if isSimple(a) && isSimple(b) && !a.body && (a.kind == call || b.kind == call) {
			change(edit{a.start(), a.end(), f.src[b.start():b.end()]}, edit{b.start(), b.end(), f.src[a.start():a.end()]})
		}
	}
}

func isSimple(s *statement) bool {
	return s != nil && (s.kind == call || s.kind == assignment || s.kind == count)
}

func zeroingLost(f cfunction, change func(...edit)) {
	for _, s := range f.statements() {
		if s != nil && s.kind == call && s.callee() == "memset" {
			change(lost(s))
		}
	}
	each(renamed(map[string]string{"kzalloc": "kmalloc", "kvzalloc": "kvmalloc", "kcalloc": "kmalloc_array", "kvcalloc": "kvmalloc_array"}))(f, change)
}

// unkillable makes a wait one that a signal does not end.
func unkillable(f cfunction, change func(...edit)) {
	for i, t := range f.toks {
		if i+1 >= len(f.toks) || f.toks[i+1].text != "(" {
			continue
		}
		end := f.toks[min(closing(f.toks, i+1), len(f.toks)-1)].end()
		switch t.text {
		case "mutex_lock_killable", "wait_event_killable":
			change(replaced(t, "("+strings.TrimSuffix(t.text, "_killable")), edit{end, end, ", 0)"})
		case "fatal_signal_pending":
			change(edit{t.at, end, "0"})
		}
	}
}
