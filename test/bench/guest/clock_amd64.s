// SPDX-License-Identifier: BSD-3-Clause

#include "textflag.h"

// func countdown(n uint64)
// Two instructions each time.
TEXT ·countdown(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), AX
loop:
	DECQ AX
	JNZ  loop
	RET

// func copyBytes(to, from *byte, n uint64)
// As the kernel copies to and from user space.
TEXT ·copyBytes(SB), NOSPLIT, $0-24
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ n+16(FP), CX
	REP; MOVSB
	RET
