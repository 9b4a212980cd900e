// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"slices"
	"strings"
	"testing"
)

// changesOfC are the changes that a pattern makes of a function with this body:
// those lines that are new, or, if there are none, those that are gone.
func changesOfC(pattern, body string) []string {
	var got []string
	for _, m := range mutateC("x.c", "static int f(int a)\n{\n"+body+"\n}\n") {
		if m.pattern != pattern {
			continue
		}
		var change []string
		for _, sign := range []string{"+ ", "- "} {
			for _, line := range m.lines {
				if strings.HasPrefix(line, sign) {
					change = append(change, line[2:])
				}
			}
			if len(change) > 0 {
				break
			}
		}
		got = append(got, strings.Join(change, " / "))
	}
	return got
}

func TestPatternsOfC(t *testing.T) {
	for _, test := range []struct {
		pattern, body string
		want          []string
	}{
		{"acquire-relaxed", "smp_store_release(&t->max, max);", []string{"WRITE_ONCE(t->max, max);"}},
		{"acquire-relaxed", "return smp_load_acquire(p);", []string{"return READ_ONCE(*p);"}},
		{"acquire-relaxed", "return atomic64_read_acquire(&x);", []string{"return atomic64_read(&x);"}},
		{"assignment-lost", "a->b = c;\nint d = e;\na += 1;\nif (a == b)\n\treturn 0;", []string{";"}},
		{"barrier-lost", "smp_wmb();\nsmp_mb__before_atomic();\nf();", []string{";", ";"}},
		{"boundary", "if (a < b && p->q >= c << 1)\n\treturn 1;", []string{
			"if (a <= b && p->q >= c << 1)", "if (a < b && p->q > c << 1)"}},
		{"call-lost", "g(a);\nmutex_lock(&l);\nkfree(p);\nx = h();\nsmp_rmb();\nmemset(p, 0, 1);", []string{";"}},
		{"check-lost", "if (!p)\n\treturn 1;", []string{"if ((!p) && 0)"}},
		{"errno", "return -ENOMEM;", []string{"return -EIO;"}},
		{"flag-lost", "x = A_FLAG | B_FLAG;\ny |= z;", []string{"x = A_FLAG;", "y |= 0;"}},
		{"freed-early", "kvfree_rcu(e, rcu);", []string{"kvfree(e);"}},
		{"increment-lost", "a++;\n--b;\nc += 2;\natomic64_inc(&d);\ne = 1;", []string{";", ";", ";", ";"}},
		{"lock-lost", "spin_lock(&l);\nif (a) {\n\tspin_unlock(&l);\n\treturn 1;\n}\nspin_unlock(&l);\nspin_lock(&l);\nspin_unlock(&l);",
			[]string{"; / ; / ;", "; / ;"}},
		{"lock-lost", "rcu_read_lock();\ng();\nrcu_read_unlock();", []string{"; / ;"}},
		{"negated", "if (err)\n\treturn err;\nelse if (f(a) && b)\n\ta = 1;", []string{"if (!(err))", "else if (!(f(a) && b))"}},
		{"off-by-one", "x = y + 1;\nz = ID_MAX;\nu = LIST_MAX(a);", []string{"x = y;", "z = (ID_MAX - 1);"}},
		{"once-lost", "a = READ_ONCE(b);\nWRITE_ONCE(c->d, f(e, g));", []string{"a = (b);", "c->d = f(e, g);"}},
		{"operand-lost", "if (!e || f(a, b) == g[1])\n\treturn 1;", []string{"if (f(a, b) == g[1])", "if (!e)"}},
		{"operand-lost", "return a && (b || c);", []string{"return (b || c);", "return a;", "return a && (c);", "return a && (b);"}},
		{"rcu-plain", "hlist_del_rcu(&e->by_name);", []string{"hlist_del(&e->by_name);"}},
		{"release-lost", "kfree(a);\nmutex_unlock(&l);\nxa_release(x, y);\ng();", []string{";", ";", ";"}},
		{"result-dropped", "err = g(a);\nerr = -EINVAL;\nx = h();", []string{"err = (g(a), 0);"}},
		{"return-changed", "return err;\nreturn true;\nreturn -EINVAL;\nreturn f();", []string{"return 0;", "return false;", "return 0;"}},
		{"swapped", "b = 2;\na = 1;\ng();\nif (x)\n\th();\nk();", []string{"g(); / a = 1;"}},
		{"uncharged", "p = kmalloc(n, GFP_KERNEL_ACCOUNT);", []string{"p = kmalloc(n, GFP_KERNEL);"}},
		{"unkillable", "return mutex_lock_killable(&l);\nif (fatal_signal_pending(current))\n\tbreak;", []string{
			"return (mutex_lock(&l), 0);", "if (0)"}},
		{"zeroing-lost", "memset(p, 0, n);\nq = kzalloc(n, GFP_KERNEL);", []string{";", "q = kmalloc(n, GFP_KERNEL);"}},
	} {
		if got := changesOfC(test.pattern, test.body); !slices.Equal(got, test.want) {
			t.Errorf("%s of %q makes %q, and not %q", test.pattern, test.body, got, test.want)
		}
	}
}

// A body follows the parameters; an initializer has none.
func TestFunctionsOfC(t *testing.T) {
	var names []string
	for _, f := range functions(`
struct s { int a; };
static const struct ops ops = { .f = f };
int f(void) { return 0; }
static bool g(int a, int (*h)(int b))
	__releases(x)
{
	struct s s = { .a = 1 };
}
`) {
		names = append(names, f.name)
	}
	if !slices.Equal(names, []string{"f", "g"}) {
		t.Errorf("functions %q", names)
	}
}

// A declaration is not moved, lost or counted as a call.
func TestDeclarationsStay(t *testing.T) {
	for _, body := range []string{"struct a *b = c;", "XA_STATE(xas, &t, 0);", "u32 n;", "const u8 m = 1;"} {
		for _, pattern := range []string{"assignment-lost", "call-lost", "swapped"} {
			if got := changesOfC(pattern, body+"\n"+body); got != nil {
				t.Errorf("%s of %q makes %q", pattern, body, got)
			}
		}
	}
}
