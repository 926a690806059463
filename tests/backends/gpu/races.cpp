// Watches what the threads of a kernel read and write: `g++ -fsanitize=thread` has each access call it.
//
// Linked with a module of the shim in place of libtsan. Of each entry of memory it keeps who wrote it last and
// who read it last: the block, the thread, and how many barriers (`__syncthreads`) that thread had passed. Where
// two access an entry, and one of them writes it,
//
// - two threads of a block must have a barrier in between; neither a shuffle nor, here, `__syncwarp` is one,
// - and two blocks may not do so at all. An atomic operation is no exception: a sum in any order does not have
//   the same bits each time.
//
// Such a pair is found whatever the order in which the shim runs threads and blocks. Besides, each access has to
// lie within one array of the arguments, in shared memory or on the thread's own stack; what is const is not
// written, and shared memory is not read before a thread of the block has written it.

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

// The linker's, around the module: its constants, and threadIdx and the like, are there to be read.
extern "C" char __ehdr_start[] __attribute__((visibility("hidden")));
extern "C" char _end[] __attribute__((visibility("hidden")));

namespace {

struct Access {
    uint32_t block, thread, barriers, there;
};

// Of the readers two are enough: any writer is another thread than one of them. One of an earlier block stays.
struct Entry {
    Access wrote, read, read_too;
};

enum Kind { CONST, WRITTEN, SHARED };

struct Memory {
    const char* name;
    uintptr_t low, high;
    unsigned size;  // bytes of an entry
    Kind kind;
    std::vector<Entry> entries;  // none where nothing is written
};

std::vector<Memory> memories;
Access now;
uintptr_t stack_low, stack_high, called_at;
// The first that is wrong, and the call that told of it.
char found[512];
uintptr_t found_at;

uintptr_t number(const void* p) { return reinterpret_cast<uintptr_t>(p); }

__attribute__((format(printf, 1, 2))) void say(const char* format, ...) {
    if (*found) return;
    va_list args;
    va_start(args, format);
    vsnprintf(found, sizeof found, format, args);
    va_end(args);
    found_at = called_at;
}

bool is_self(const Access& other) { return other.block == now.block && other.thread == now.thread; }

bool conflict(const Access& other) {
    return other.there && !is_self(other) && (other.block != now.block || other.barriers == now.barriers);
}

const char* verb(bool writes) { return writes ? "writes" : "reads"; }
const char* unit(const Memory& memory) { return memory.size == 1 ? "byte" : "entry"; }

void race(const Memory& memory, size_t k, bool writes, const Access& other, bool other_writes) {
    say("thread %u of block %u %s %s %zu of %s, which thread %u of block %u %s: %s", now.thread, now.block,
        verb(writes), unit(memory), k, memory.name, other.thread, other.block, verb(other_writes),
        other.block == now.block ? "no barrier is between them" : "blocks have no barrier between them");
}

void touch(Memory& memory, size_t k, bool writes) {
    Entry& entry = memory.entries[k];
    if (conflict(entry.wrote)) race(memory, k, writes, entry.wrote, true);
    if (writes) {
        if (conflict(entry.read)) race(memory, k, writes, entry.read, false);
        if (conflict(entry.read_too)) race(memory, k, writes, entry.read_too, false);
        entry.wrote = now;
        return;
    }
    if (memory.kind == SHARED && !entry.wrote.there)
        say("thread %u of block %u reads %s %zu of %s, which nobody has written yet", now.thread, now.block,
            unit(memory), k, memory.name);
    const bool stays = entry.read_too.there && entry.read_too.block != now.block;
    if (entry.read.there && !is_self(entry.read) && (!stays || entry.read.block != now.block))
        entry.read_too = entry.read;
    entry.read = now;
}

void outside(uintptr_t at, unsigned bytes, bool writes) {
    const Memory* nearest = &memories[0];  // shared memory is always there
    uintptr_t least = ~uintptr_t(0);
    for (const Memory& memory : memories) {
        const uintptr_t distance = at < memory.low ? memory.low - at : at - memory.low;
        if (distance < least) least = distance, nearest = &memory;
    }
    say("thread %u of block %u %s %u bytes that it has not, at byte %td of %s, whose bytes are %zu", now.thread,
        now.block, verb(writes), bytes, std::ptrdiff_t(at - nearest->low), nearest->name,
        nearest->high - nearest->low);
}

void access(const void* address, unsigned bytes, bool writes, const void* caller) {
    const uintptr_t at = number(address), end = at + bytes;
    if (!now.there || (at >= stack_low && end <= stack_high)) return;  // no thread is there at first
    called_at = number(caller) - number(__ehdr_start) - 1;
    for (Memory& memory : memories) {
        if (at < memory.low || end > memory.high) continue;
        if (memory.kind == CONST && writes)
            say("thread %u of block %u writes to %s, which is const", now.thread, now.block, memory.name);
        if (memory.kind == CONST) return;
        for (size_t k = (at - memory.low) / memory.size; k * memory.size < end - memory.low; ++k)
            touch(memory, k, writes);
        return;
    }
    if (writes || at < number(__ehdr_start) || end > number(_end)) outside(at, bytes, writes);
}

void add(const char* name, const void* low, const void* high, unsigned size, Kind kind) {
    Memory added{name, number(low), number(high), size, kind, {}};
    for (const Memory& other : memories)
        if (added.low < other.high && other.low < added.high && (kind != CONST || other.kind != CONST))
            say("%s and %s overlap, and one of them is written", other.name, name);
    if (kind != CONST) added.entries.resize((added.high - added.low) / size);
    memories.push_back(std::move(added));
}

}  // namespace

extern "C" {

// ── called by shim.py, before a launch and after it ──────────────────────────────────────────
void xg_race_begin() {
    memories.clear();
    *found = 0;
    called_at = 0;
}
void xg_race_array(const char* name, const void* low, const void* high, unsigned size, bool written) {
    add(name, low, high, size, written ? WRITTEN : CONST);
}
const char* xg_race_found() { return found; }
// From the beginning of the module, as addr2line counts; 0 where it was no access.
uintptr_t xg_race_where() { return found_at; }

// ── called by shim.h ─────────────────────────────────────────────────────────────────────────
void xg_race_shared(const char* name, const void* low, const void* high) { add(name, low, high, 1, SHARED); }
void xg_race_block(unsigned block) {
    now.block = block;
    for (Memory& memory : memories)
        if (memory.kind == SHARED) memory.entries.assign(memory.entries.size(), {});
}
void xg_race_thread(unsigned thread, unsigned barriers, const void* low, const void* high) {
    now.thread = thread, now.barriers = barriers, now.there = 1;
    stack_low = number(low), stack_high = number(high);
}

// ── called by what is instrumented ───────────────────────────────────────────────────────────
#define XG_ACCESS(name, bytes, writes, ...) \
    void __tsan_##name(void* at, ##__VA_ARGS__) { access(at, bytes, writes, __builtin_return_address(0)); }
#define XG_ACCESSES(n)                     \
    XG_ACCESS(read##n, n, false)           \
    XG_ACCESS(write##n, n, true)           \
    XG_ACCESS(unaligned_read##n, n, false) \
    XG_ACCESS(unaligned_write##n, n, true)
XG_ACCESSES(1) XG_ACCESSES(2) XG_ACCESSES(4) XG_ACCESSES(8) XG_ACCESSES(16)
XG_ACCESS(read_range, n, false, unsigned long n)
XG_ACCESS(write_range, n, true, unsigned long n)
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}

}  // extern "C"
