"""The native functions of workers that spin, and of those who post to them: their text.

In:  mailboxes (`spinning`), jobs, and the stages of a program.
Out: LLVM IR: ``spin`` of a worker; ``post`` and ``settled`` of a caller; ``enough``, and ``drive``, which runs
     a program whose chunks workers share.
Holds: each word has 8 bytes.
"""

from xpgrad.backends.cpu.llvm import build

WORDS = 16
"""The words of a mailbox."""

ASLEEP, FREE, HELD, POSTED, TAKEN, DONE, LEFT = range(7)

JOB, WORKSPACE, CALLED = 1, 2, 8
"""Words of a mailbox after its state; the last is in a cache line of its own."""

STATES = dict(zip(("ASLEEP", "FREE", "HELD", "POSTED", "TAKEN", "DONE", "LEFT"), range(7), strict=True))
_TEXT = """
define void @spin(ptr %mailbox, i64 %turns) {{
start:
  %jobs = getelementptr i64, ptr %mailbox, i64 {job}
  %spaces = getelementptr i64, ptr %mailbox, i64 {workspace}
  %calls = getelementptr i64, ptr %mailbox, i64 {called}
  %enter = cmpxchg ptr %mailbox, i64 {ASLEEP}, i64 {FREE} acq_rel acquire, align 8
  %entered = extractvalue {{ i64, i1 }} %enter, 1
  br i1 %entered, label %look, label %end ; otherwise a caller has not yet seen that the last job is done
look:
  %left = phi i64 [ %turns, %start ], [ %left, %take ], [ %turns, %work ], [ %fewer, %idle ], [ 0, %leave ]
  %state = load atomic i64, ptr %mailbox acquire, align 8
  %posted = icmp eq i64 %state, {POSTED}
  br i1 %posted, label %take, label %idle
take:
  %t = cmpxchg ptr %mailbox, i64 {POSTED}, i64 {TAKEN} acq_rel acquire, align 8
  %taken = extractvalue {{ i64, i1 }} %t, 1
  br i1 %taken, label %work, label %look ; otherwise the caller has withdrawn it
work:
  %job = load ptr, ptr %jobs, align 8
  %workspace = load ptr, ptr %spaces, align 8
  call void @run(ptr %job, ptr %workspace)
  store atomic i64 {DONE}, ptr %mailbox release, align 8
  br label %look
idle:
  {pause}
  %fewer = sub nsw i64 %left, 1
  %called = load atomic i64, ptr %calls monotonic, align 8
  %wanted = icmp ne i64 %called, 0
  %over = icmp slt i64 %fewer, 0
  %leaves = or i1 %wanted, %over
  br i1 %leaves, label %leave, label %look
leave:
  %from.free = cmpxchg ptr %mailbox, i64 {FREE}, i64 {ASLEEP} acq_rel acquire, align 8
  %slept = extractvalue {{ i64, i1 }} %from.free, 1
  %from.done = cmpxchg ptr %mailbox, i64 {DONE}, i64 {LEFT} acq_rel acquire, align 8
  %went = extractvalue {{ i64, i1 }} %from.done, 1
  %gone = or i1 %slept, %went
  br i1 %gone, label %end, label %look
end:
  ret void
}}

define internal void @run(ptr %job, ptr %workspace) {{
  {loads}
  call void %f(ptr %w1, ptr %w2, i64 %w3, i64 %w4, i64 %w5, ptr %w6, i64 %w7, ptr %workspace)
  ret void
}}

define void @post(ptr %mailboxes, i64 %n, i64 %wanted, ptr %job, ptr %workspaces, ptr %taken) {{
start:
  br label %next
next:
  %k = phi i64 [ 0, %start ], [ %k1, %mailbox.end ]
  %count = phi i64 [ 0, %start ], [ %count1, %mailbox.end ]
  %more = icmp slt i64 %k, %n
  %lack = icmp slt i64 %count, %wanted
  %go = and i1 %more, %lack
  br i1 %go, label %try, label %end
try:
  %at = mul nsw i64 %k, {words}
  %mailbox = getelementptr i64, ptr %mailboxes, i64 %at
  %x = cmpxchg ptr %mailbox, i64 {FREE}, i64 {HELD} acq_rel acquire, align 8
  %held = extractvalue {{ i64, i1 }} %x, 1
  br i1 %held, label %fill, label %mailbox.end
fill:
  %jobs = getelementptr i64, ptr %mailbox, i64 {job}
  store ptr %job, ptr %jobs, align 8
  %given = getelementptr ptr, ptr %workspaces, i64 %count
  %workspace = load ptr, ptr %given, align 8
  %spaces = getelementptr i64, ptr %mailbox, i64 {workspace}
  store ptr %workspace, ptr %spaces, align 8
  store atomic i64 {POSTED}, ptr %mailbox release, align 8
  %mark = getelementptr i64, ptr %taken, i64 %count
  store i64 %k, ptr %mark, align 8
  %one.more = add nsw i64 %count, 1
  br label %mailbox.end
mailbox.end:
  %count1 = phi i64 [ %count, %try ], [ %one.more, %fill ]
  %k1 = add nsw i64 %k, 1
  br label %next
end:
  %total = getelementptr i64, ptr %taken, i64 %wanted
  store i64 %count, ptr %total, align 8
  ret void
}}

define i64 @settled(ptr %mailboxes, ptr %taken, i64 %count, i64 %turns) {{
start:
  br label %next
next:
  %left = phi i64 [ %count, %start ], [ %last, %free ], [ %last, %asleep ]
  %more = icmp sgt i64 %left, 0
  br i1 %more, label %one, label %end
one:
  %last = sub nsw i64 %left, 1
  %mark = getelementptr i64, ptr %taken, i64 %last
  %k = load i64, ptr %mark, align 8
  %at = mul nsw i64 %k, {words}
  %mailbox = getelementptr i64, ptr %mailboxes, i64 %at
  br label %wait
wait:
  %turn = phi i64 [ %turns, %one ], [ %turn, %done ], [ %turn, %withdraw ], [ %turn1, %spin ]
  %state = load atomic i64, ptr %mailbox acquire, align 8
  switch i64 %state, label %spin [ i64 {POSTED}, label %withdraw
                                   i64 {DONE}, label %done
                                   i64 {LEFT}, label %asleep ]
withdraw:
  %y = cmpxchg ptr %mailbox, i64 {POSTED}, i64 {FREE} acq_rel acquire, align 8
  %withdrawn = extractvalue {{ i64, i1 }} %y, 1
  br i1 %withdrawn, label %free, label %wait
done:
  %x = cmpxchg ptr %mailbox, i64 {DONE}, i64 {FREE} acq_rel acquire, align 8
  %freed = extractvalue {{ i64, i1 }} %x, 1
  br i1 %freed, label %free, label %wait
free:
  br label %next
asleep:
  store atomic i64 {ASLEEP}, ptr %mailbox release, align 8
  br label %next
spin:
  {pause}
  %turn1 = sub nsw i64 %turn, 1
  %over = icmp slt i64 %turn1, 0
  br i1 %over, label %end, label %wait
end:
  ret i64 %left
}}

define i64 @enough(ptr %driver) {{
start:
  {driver}
  %workers = load i64, ptr %d.count, align 8
  br label %next
next:
  %k = phi i64 [ 0, %start ], [ %k1, %look ]
  %free = phi i64 [ 0, %start ], [ %free1, %look ]
  %more = icmp slt i64 %k, %workers
  br i1 %more, label %look, label %end
look:
  %at = mul nsw i64 %k, {words}
  %mailbox = getelementptr i64, ptr %d.mailboxes, i64 %at
  %state = load atomic i64, ptr %mailbox monotonic, align 8
  %is.free = icmp eq i64 %state, {FREE}
  %one = zext i1 %is.free to i64
  %free1 = add nsw i64 %free, %one
  %k1 = add nsw i64 %k, 1
  br label %next
end:
  %are = icmp sge i64 %free, %d.most
  %answer = zext i1 %are to i64
  ret i64 %answer
}}

define void @drive(ptr %driver, i64 %begin, i64 %n) {{
start:
  {driver}
  br label %next
next:
  %k = phi i64 [ %begin, %start ], [ %k1, %native ], [ %k1, %settle ]
  %more = icmp slt i64 %k, %n
  br i1 %more, label %step, label %end
step:
  %k1 = add nsw i64 %k, 1
  %row = getelementptr [{stage_words} x i64], ptr %d.stages, i64 %k
  {stage}
  %is.native = icmp eq ptr %s.job, null
  br i1 %is.native, label %native, label %share
native:
  call void %d.main(ptr %d.table, i64 %s.first, i64 %s.last)
  br label %next
share:
  %workers = load i64, ptr %d.count, align 8
  call void @post(ptr %d.mailboxes, i64 %workers, i64 %s.wanted, ptr %s.job, ptr %s.workspaces, ptr %s.taken)
  call void @run(ptr %s.job, ptr %s.own)
  %count.at = getelementptr i64, ptr %s.taken, i64 %s.wanted
  br label %settle
settle:
  %count = load i64, ptr %count.at, align 8
  %left = call i64 @settled(ptr %d.mailboxes, ptr %s.taken, i64 %count, i64 %d.turns)
  store i64 %left, ptr %count.at, align 8
  %waits = icmp ne i64 %left, 0
  br i1 %waits, label %yield, label %next
yield:
  %ignored = call i32 %d.yield()
  br label %settle
end:
  ret void
}}
"""

DRIVER = ("main", "table", "mailboxes", "count", "yield", "turns", "most", "stages")
"""The words that `@drive` and `@enough` take: a program's function and table, the mailboxes, the address of the
number of workers, the function that lets other threads run, the turns before it is called, the most workers
that a stage wants, and the stages."""

STAGE = ("first", "last", "job", "wanted", "workspaces", "own", "taken")
"""The words of a stage: from ``first`` to ``last`` natively, or a job that workers share, in workspaces."""


def _loads(name: str, base: str, fields: tuple[str, ...], numbers: tuple[str, ...]) -> str:
    """Loads of the words at ``base``, as ``%name.field``."""
    lines = []
    for k, field in enumerate(fields):
        kind = "i64" if field in numbers else "ptr"
        lines.append(f"%{name}.{field}.at = getelementptr i64, ptr {base}, i64 {k}")
        lines.append(f"%{name}.{field} = load {kind}, ptr %{name}.{field}.at, align 8")
    return "\n  ".join(lines)


def text() -> str:
    """LLVM IR."""
    kinds = ["ptr", "ptr", "ptr", "i64", "i64", "i64", "ptr", "i64"]
    loads = [
        f"%p{i} = getelementptr i64, ptr %job, i64 {i}\n  %{name} = load {kind}, ptr %p{i}, align 8"
        for i, (kind, name) in enumerate(zip(kinds, ["f", *[f"w{i}" for i in range(1, 8)]], strict=True))
    ]
    pause = "call void @llvm.x86.sse2.pause()" if build.is_x86() else ""
    found = _TEXT.format(
        job=JOB,
        workspace=WORKSPACE,
        called=CALLED,
        words=WORDS,
        pause=pause,
        loads="\n  ".join(loads),
        driver=_loads("d", "%driver", DRIVER, ("turns", "most")),
        stage=_loads("s", "%row", STAGE, ("first", "last", "wanted")),
        stage_words=len(STAGE),
        **STATES,
    )
    return found + ("declare void @llvm.x86.sse2.pause()\n" if pause else "")
