"""The native function through which a call enters a program: its text.

In:  the tables that `entry` writes (`entry_tables`).
Out: LLVM IR of ``enter(self, args, n)``, a fast call of CPython's: ``args[0]`` has the arguments, ``self`` is
     an int64 array, the header.
Holds: sizes, types and addresses are in the tables, so one text serves every program.

    for each guard:     if the attribute or entry is another object: return None
    for each argument:  if its type, shape, dtype or strides are others: return None
                        keep its address, or copy its number
    if threads share it and too few workers spin: return None
    for each array in a list or dict: hold it, as other threads may put another there while the program runs
    for each output:    make an array
    put the addresses into the table of the program, and run it
    return the outputs in tuples and lists

It reads the fields of arrays (`array_layout`), of an object only once its type is known. An error while it
looks is left to the usual way; what is no Exception (KeyboardInterrupt) is raised.
"""

from xpgrad.backends.cpu.llvm.array_layout import ALIGNED, AXES, DATA, DTYPE, FLAGS, HEAD, SHAPE, STRIDES
from xpgrad.backends.cpu.llvm.entry_tables import (
    ARRAY,
    DICT,
    DOUBLE,
    FLOAT,
    GUARD,
    HEADER,
    HEADER_KINDS,
    OUTPUT,
    PATCH,
    PIECE,
    RECORD,
    SAME,
    SEQUENCE,
    references,
    words,
)


def text() -> str:
    """LLVM IR."""
    return f"""
define ptr @enter(ptr %self, ptr %args, i64 %n) {{
start:
  %h.at = getelementptr i8, ptr %self, i64 {DATA}
  %h = load ptr, ptr %h.at, align 8
{words("h", "%h", HEADER, HEADER_KINDS)}
  %outs = alloca ptr, i64 %h.output_count
  %stack = alloca ptr, i64 %h.piece_count
  %key = alloca ptr
  %value = alloca ptr
  br label %guard

guard:
  %g = phi i64 [ 0, %start ], [ %g.next, %guard.same ]
  %g.more = icmp slt i64 %g, %h.guard_count
  br i1 %g.more, label %guard.look, label %try
guard.look:
  %g.at = getelementptr [{len(GUARD)} x i64], ptr %h.guards, i64 %g
{words("g", "%g.at", GUARD, "i64 ptr ptr ptr")}
  %g.entry = icmp ne i64 %g.of_dict, 0
  br i1 %g.entry, label %guard.entry, label %guard.attribute
guard.entry:
  %g.there = call ptr %h.get_entry(ptr %g.owner, ptr %g.name)
  br label %guard.found
guard.attribute:
  %g.got = call ptr %h.get_attribute(ptr %g.owner, ptr %g.name)
  %g.none = icmp eq ptr %g.got, null
  br i1 %g.none, label %raised, label %guard.held
guard.held:
  call void %h.decref(ptr %g.got)
  br label %guard.found
guard.found:
  %g.now = phi ptr [ %g.there, %guard.entry ], [ %g.got, %guard.held ]
  %g.same = icmp eq ptr %g.now, %g.value
  br i1 %g.same, label %guard.same, label %other
guard.same:
  %g.next = add i64 %g, 1
  br label %guard

try:
  %busy = load i64, ptr %h, align 8
  %is.busy = icmp ne i64 %busy, 0
  br i1 %is.busy, label %other, label %record

record:
  %k = phi i64 [ 0, %try ], [ %k.next, %record.done ]
  %k.more = icmp slt i64 %k, %h.record_count
  br i1 %k.more, label %record.look, label %workers
record.look:
  %r.at = getelementptr [{len(RECORD)} x i64], ptr %h.records, i64 %k
{words("r", "%r.at", RECORD, "i64 i64 i64 ptr ptr i64 ptr i64")}
  %is.root = icmp slt i64 %r.parent, 0
  br i1 %is.root, label %root, label %child
root:
  %x.root = load ptr, ptr %args, align 8
  br label %check
child:
  %p.at = getelementptr [{len(RECORD)} x i64], ptr %h.records, i64 %r.parent
{words("p", "%p.at", RECORD, "i64 i64 i64 ptr ptr i64 ptr i64")}
  %p.object.at = getelementptr ptr, ptr %h.objects, i64 %r.parent
  %p.object = load ptr, ptr %p.object.at, align 8
  %of.dict = icmp eq i64 %p.kind, {DICT}
  br i1 %of.dict, label %next.item, label %item
item:
  %x.item = call ptr %p.c(ptr %p.object, i64 %r.index)
  br label %got
next.item:
  %some = call i32 %h.next(ptr %p.object, ptr %p.position.at, ptr %key, ptr %value)
  %has = icmp ne i32 %some, 0
  br i1 %has, label %keyed, label %other
keyed:
  %key.now = load i64, ptr %key, align 8
  %x.value = load ptr, ptr %value, align 8
  %key.same = icmp eq i64 %key.now, %r.index
  br i1 %key.same, label %got, label %other
got:
  %x.got = phi ptr [ %x.item, %item ], [ %x.value, %keyed ]
  %x.none = icmp eq ptr %x.got, null
  br i1 %x.none, label %raised, label %check
check:
  %x = phi ptr [ %x.root, %root ], [ %x.got, %got ]
  %x.at = getelementptr ptr, ptr %h.objects, i64 %k
  store ptr %x, ptr %x.at, align 8
  %x.type.at = getelementptr i8, ptr %x, i64 {HEAD - 8}
  %x.type = load ptr, ptr %x.type.at, align 8
  %typed = icmp eq ptr %x.type, %r.type
  br i1 %typed, label %by.kind, label %other
by.kind:
  switch i64 %r.kind, label %other [ i64 {SEQUENCE}, label %container
                                     i64 {DICT}, label %container
                                     i64 {ARRAY}, label %array
                                     i64 {DOUBLE}, label %double
                                     i64 {FLOAT}, label %float
                                     i64 {SAME}, label %same ]
container:
  store i64 0, ptr %r.position.at, align 8
  %size = call i64 %r.a(ptr %x)
  %sized = icmp eq i64 %size, %r.b
  br i1 %sized, label %record.done, label %other
same:
  %is.same = icmp eq ptr %x, %r.a
  br i1 %is.same, label %record.done, label %other
double:
  %as.double = call double %h.as_double(ptr %x)
  store double %as.double, ptr %r.a, align 8
  br label %record.done
float:
  %as.wide = call double %h.as_double(ptr %x)
  %as.float = fptrunc double %as.wide to float
  store float %as.float, ptr %r.a, align 4
  br label %record.done
array:
  %x.data.at = getelementptr i8, ptr %x, i64 {DATA}
  %x.data = load i64, ptr %x.data.at, align 8
  %x.nd.at = getelementptr i8, ptr %x, i64 {AXES}
  %x.nd = load i32, ptr %x.nd.at, align 4
  %x.shape.at = getelementptr i8, ptr %x, i64 {SHAPE}
  %x.shape = load ptr, ptr %x.shape.at, align 8
  %x.strides.at = getelementptr i8, ptr %x, i64 {STRIDES}
  %x.strides = load ptr, ptr %x.strides.at, align 8
  %x.dtype.at = getelementptr i8, ptr %x, i64 {DTYPE}
  %x.dtype = load ptr, ptr %x.dtype.at, align 8
  %x.flags.at = getelementptr i8, ptr %x, i64 {FLAGS}
  %x.flags = load i32, ptr %x.flags.at, align 4
  %x.aligned = and i32 %x.flags, {ALIGNED}
  %no.align = icmp eq i32 %x.aligned, 0
  br i1 %no.align, label %other, label %array.dtype
array.dtype:
  %dtyped = icmp eq ptr %x.dtype, %r.a
  br i1 %dtyped, label %array.axes, label %other
array.axes:
  %axes = sext i32 %x.nd to i64
  %has.axes = icmp eq i64 %axes, %r.b
  br i1 %has.axes, label %axis, label %other
axis:
  %a = phi i64 [ 0, %array.axes ], [ %a.next, %stride ]
  %a.more = icmp slt i64 %a, %axes
  br i1 %a.more, label %length, label %array.fits
length:
  %a.next = add i64 %a, 1
  %n.at = getelementptr i64, ptr %x.shape, i64 %a
  %n.now = load i64, ptr %n.at, align 8
  %n.known.at = getelementptr i64, ptr %r.c, i64 %a
  %n.known = load i64, ptr %n.known.at, align 8
  %n.same = icmp eq i64 %n.now, %n.known
  br i1 %n.same, label %stride, label %other
stride:
  %s.at = getelementptr i64, ptr %x.strides, i64 %a
  %s.now = load i64, ptr %s.at, align 8
  %s.place = add i64 %axes, %a
  %s.known.at = getelementptr i64, ptr %r.c, i64 %s.place
  %s.known = load i64, ptr %s.known.at, align 8
  %s.same = icmp eq i64 %s.now, %s.known
  br i1 %s.same, label %axis, label %other
array.fits:
  %x.address.at = getelementptr i64, ptr %h.addresses, i64 %k
  store i64 %x.data, ptr %x.address.at, align 8
  br label %record.done
record.done:
  %k.next = add i64 %k, 1
  br label %record

workers:
  %shares = icmp ne i64 %h.enough, 0
  br i1 %shares, label %workers.look, label %take
workers.look:
  %enough = inttoptr i64 %h.enough to ptr
  %are = call i64 %enough(ptr %h.table)
  %are.enough = icmp ne i64 %are, 0
  br i1 %are.enough, label %take, label %other

take:
  store i64 1, ptr %h, align 8
  br label %hold
{references("hold", "take", "incref", "output")}
output:
  %o = phi i64 [ 0, %hold ], [ %o.next, %output.done ]
  %o.more = icmp slt i64 %o, %h.output_count
  br i1 %o.more, label %output.look, label %patch
output.look:
  %o.at = getelementptr [{len(OUTPUT)} x i64], ptr %h.outputs, i64 %o
{words("o", "%o.at", OUTPUT, "i64 ptr ptr")}
  %out.at = getelementptr ptr, ptr %outs, i64 %o
  store ptr null, ptr %out.at, align 8
  %o.late.now = icmp ne i64 %o.late, 0
  br i1 %o.late.now, label %output.done, label %output.make
output.make:
  %made = call ptr %h.call(ptr %o.function, ptr %o.arguments, ptr null)
  store ptr %made, ptr %out.at, align 8
  %made.none = icmp eq ptr %made, null
  br i1 %made.none, label %first, label %output.made
output.made:
  %made.data.at = getelementptr i8, ptr %made, i64 {DATA}
  %made.data = load i64, ptr %made.data.at, align 8
  %made.place = add i64 %h.record_count, %o
  %made.address.at = getelementptr i64, ptr %h.addresses, i64 %made.place
  store i64 %made.data, ptr %made.address.at, align 8
  br label %output.done
output.done:
  %o.next = add i64 %o, 1
  br label %output

patch:
  %t = phi i64 [ 0, %output ], [ %t.next, %patch.put ]
  %t.more = icmp slt i64 %t, %h.patch_count
  br i1 %t.more, label %patch.put, label %run
patch.put:
  %t.at = getelementptr [{len(PATCH)} x i64], ptr %h.patches, i64 %t
{words("t", "%t.at", PATCH, "ptr i64 i64")}
  %t.address.at = getelementptr i64, ptr %h.addresses, i64 %t.source
  %t.address = load i64, ptr %t.address.at, align 8
  %t.moved = add i64 %t.address, %t.offset
  store i64 %t.moved, ptr %t.slot, align 8
  %t.next = add i64 %t, 1
  br label %patch

run:
  %releases = icmp ne i64 %h.release, 0
  br i1 %releases, label %run.without, label %run.with
run.without:
  %release = inttoptr i64 %h.release to ptr
  %state = call ptr %release()
  call void %h.main(ptr %h.table, i64 0, i64 %h.end)
  call void %h.acquire(ptr %state)
  br label %flag
run.with:
  call void %h.main(ptr %h.table, i64 0, i64 %h.end)
  br label %flag

flag:
  %f = phi i64 [ 0, %run.without ], [ 0, %run.with ], [ %f.next, %flag.look ]
  %f.sum = phi i64 [ 0, %run.without ], [ 0, %run.with ], [ %f.all, %flag.look ]
  %f.more = icmp slt i64 %f, %h.flag_count
  br i1 %f.more, label %flag.look, label %flag.done
flag.look:
  %f.at = getelementptr ptr, ptr %h.flags, i64 %f
  %f.where = load ptr, ptr %f.at, align 8
  %f.now = load i64, ptr %f.where, align 8
  store i64 0, ptr %f.where, align 8
  %f.all = or i64 %f.sum, %f.now
  %f.next = add i64 %f, 1
  br label %flag
flag.done:
  %outside = icmp ne i64 %f.sum, 0
  br i1 %outside, label %first, label %late

late:
  %l = phi i64 [ 0, %flag.done ], [ %l.next, %late.done ]
  %l.more = icmp slt i64 %l, %h.output_count
  br i1 %l.more, label %late.look, label %let
late.look:
  %l.at = getelementptr [{len(OUTPUT)} x i64], ptr %h.outputs, i64 %l
{words("l", "%l.at", OUTPUT, "i64 ptr ptr")}
  %l.late.now = icmp ne i64 %l.late, 0
  br i1 %l.late.now, label %late.make, label %late.done
late.make:
  %copy = call ptr %h.call(ptr %l.function, ptr %l.arguments, ptr null)
  %copy.at = getelementptr ptr, ptr %outs, i64 %l
  store ptr %copy, ptr %copy.at, align 8
  %copy.none = icmp eq ptr %copy, null
  br i1 %copy.none, label %first, label %late.done
late.done:
  %l.next = add i64 %l, 1
  br label %late

{references("let", "late", "decref", "free")}
free:
  store i64 0, ptr %h, align 8
  br label %piece
piece:
  %q = phi i64 [ 0, %free ], [ %q.next, %piece.done ]
  %top = phi i64 [ 0, %free ], [ %top.next, %piece.done ]
  %q.more = icmp slt i64 %q, %h.piece_count
  br i1 %q.more, label %piece.look, label %done
piece.look:
  %q.at = getelementptr [{len(PIECE)} x i64], ptr %h.pieces, i64 %q
{words("q", "%q.at", PIECE, "i64 ptr i64")}
  %is.leaf = icmp eq i64 %q.make, 0
  br i1 %is.leaf, label %leaf, label %gather
leaf:
  %leaf.from = getelementptr ptr, ptr %outs, i64 %q.number
  %leaf.x = load ptr, ptr %leaf.from, align 8
  br label %piece.done
gather:
  %make = inttoptr i64 %q.make to ptr
  %whole = call ptr %make(i64 %q.number)
  %base = sub i64 %top, %q.number
  %whole.none = icmp eq ptr %whole, null
  br i1 %whole.none, label %failed, label %part
part:
  %i = phi i64 [ 0, %gather ], [ %i.next, %part.put ]
  %i.more = icmp slt i64 %i, %q.number
  br i1 %i.more, label %part.put, label %piece.done
part.put:
  %i.place = add i64 %base, %i
  %i.at = getelementptr ptr, ptr %stack, i64 %i.place
  %i.x = load ptr, ptr %i.at, align 8
  %i.put = call i32 %q.set(ptr %whole, i64 %i, ptr %i.x)
  %i.next = add i64 %i, 1
  br label %part
piece.done:
  %onto = phi i64 [ %top, %leaf ], [ %base, %part ]
  %new = phi ptr [ %leaf.x, %leaf ], [ %whole, %part ]
  %onto.at = getelementptr ptr, ptr %stack, i64 %onto
  store ptr %new, ptr %onto.at, align 8
  %top.next = add i64 %onto, 1
  %q.next = add i64 %q, 1
  br label %piece
done:
  %result = load ptr, ptr %stack, align 8
  ret ptr %result

first:
  %answer = phi ptr [ null, %output.make ], [ %h.none, %flag.done ], [ null, %late.make ]
  %made.count = phi i64 [ %o, %output.make ], [ %h.output_count, %flag.done ], [ %h.output_count, %late.make ]
  br label %drop
drop:
  %z = phi i64 [ 0, %first ], [ %z.next, %drop.next ]
  %z.more = icmp slt i64 %z, %made.count
  br i1 %z.more, label %drop.look, label %unhold
drop.look:
  %z.at = getelementptr ptr, ptr %outs, i64 %z
  %z.x = load ptr, ptr %z.at, align 8
  %z.none = icmp eq ptr %z.x, null
  br i1 %z.none, label %drop.next, label %drop.one
drop.one:
  call void %h.decref(ptr %z.x)
  br label %drop.next
drop.next:
  %z.next = add i64 %z, 1
  br label %drop
{references("unhold", "drop", "decref", "dropped")}
dropped:
  store i64 0, ptr %h, align 8
  %failing = icmp eq ptr %answer, null
  br i1 %failing, label %failed, label %other
failed:
  ret ptr null
raised:
  %matches = call i32 %h.matches(ptr %h.exception)
  %is.error = icmp ne i32 %matches, 0
  br i1 %is.error, label %cleared, label %failed
cleared:
  call void %h.clear()
  br label %other
other:
  call void %h.incref(ptr %h.none)
  ret ptr %h.none
}}
"""
