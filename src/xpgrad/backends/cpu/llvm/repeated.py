"""The native function that repeats a program with other addresses each time.

In:  a number of calls, patches, and the table of the program.
Out: text of LLVM IR.
Holds: a patch is the place of an address in memory, and the address in iteration t:
``base + (t + phase) % rows * stride``.
"""

MAIN, REPEAT = "main", "repeat"

REPEATED = f"""
define void @{REPEAT}(i64 %n, ptr %patches, i64 %count, ptr %table, i64 %end) {{
start:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %iteration, label %done
iteration:
  %t = phi i64 [ 0, %start ], [ %u, %call ]
  br label %patch
patch:
  %k = phi i64 [ 0, %iteration ], [ %l, %put ]
  %more = icmp slt i64 %k, %count
  br i1 %more, label %put, label %call
put:
  %at = getelementptr [5 x i64], ptr %patches, i64 %k
  %spot.i = load i64, ptr %at
  %base.p = getelementptr i64, ptr %at, i64 1
  %base = load i64, ptr %base.p
  %stride.p = getelementptr i64, ptr %at, i64 2
  %stride = load i64, ptr %stride.p
  %phase.p = getelementptr i64, ptr %at, i64 3
  %phase = load i64, ptr %phase.p
  %rows.p = getelementptr i64, ptr %at, i64 4
  %rows = load i64, ptr %rows.p
  %moved = add i64 %t, %phase
  %row = urem i64 %moved, %rows
  %offset = mul i64 %row, %stride
  %address = add i64 %base, %offset
  %spot = inttoptr i64 %spot.i to ptr
  store i64 %address, ptr %spot
  %l = add i64 %k, 1
  br label %patch
call:
  call void @{MAIN}(ptr %table, i64 0, i64 %end)
  %u = add i64 %t, 1
  %again = icmp slt i64 %u, %n
  br i1 %again, label %iteration, label %done
done:
  ret void
}}
"""
"""Call ``main`` ``n`` times; before each, put the addresses of ``count`` patches into their places."""
