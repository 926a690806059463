// The types and functions that generated kernels use: reductions over threads, labels and memory.
//
// NVRTC compiles it as C++17; it includes nothing and has CUDA's functions built in. With XG_SHIM defined and
// tests/backends/gpu/shim.h before it, g++ compiles it, too. The functions of ops are printed from
// xpgrad.codegen.scalar.

#ifndef XG_PRELUDE
#define XG_PRELUDE

#define XG_FN __device__ __forceinline__

// The dynamic shared memory of a kernel, as bytes; tests have a buffer instead.
#ifndef XG_DYNAMIC_SHARED
#define XG_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif

namespace xg {

// ── types of 16 bits, which are converted to float when they are read ────────────────────────
struct half {
    unsigned short bits;
    XG_FN operator float() const {
#ifdef XG_SHIM
        return xg_shim_half(bits);
#else
        float x;
        asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
        return x;
#endif
    }
};

struct bfloat16 {
    unsigned short bits;
    XG_FN operator float() const { return __int_as_float(static_cast<int>(static_cast<unsigned int>(bits) << 16)); }
};

// ── numbers ──────────────────────────────────────────────────────────────────────────────────
template <class T> XG_FN T infinity();
template <> XG_FN float infinity<float>() { return __int_as_float(0x7f800000); }
template <> XG_FN double infinity<double>() { return __longlong_as_double(0x7ff0000000000000LL); }
template <class T> XG_FN T nan();
template <> XG_FN float nan<float>() { return __int_as_float(0x7fc00000); }
template <> XG_FN double nan<double>() { return __longlong_as_double(0x7ff8000000000000LL); }

// The ends of each type's range.
template <class T> struct Range;
#define XG_RANGE(type, low, high)                         \
    template <> struct Range<type> {                      \
        static XG_FN type lowest() { return (type)low; }  \
        static XG_FN type highest() { return (type)high; } \
    };
// @ranges
#undef XG_RANGE

// ── the functions that reductions call, and fused multiply-add ───────────────────────────────
// @functions

// ── labels ───────────────────────────────────────────────────────────────────────────────────
// A label as an index. A negative label counts from the end. A label outside wraps around, as in CuPy: an error
// would make the host wait for the device.
XG_FN long long from_end(long long label, long long count) {
    if (label < 0) label += count;
    if (static_cast<unsigned long long>(label) < static_cast<unsigned long long>(count)) return label;
    label = count ? label % count : 0;
    return label < 0 ? label + count : label;
}

// ── memory ───────────────────────────────────────────────────────────────────────────────────
// The `width` entries that one instruction loads or stores. The address is a multiple of their size.
template <class T, int width> struct alignas(sizeof(T) * width) Vector {
    T x[width];
};
template <int count, int width, class T> XG_FN void load(T* to, const T* from) {
#pragma unroll
    for (int k = 0; k < count; k += width) {
        const Vector<T, width> found = *reinterpret_cast<const Vector<T, width>*>(from + k);
#pragma unroll
        for (int i = 0; i < width; ++i) to[k + i] = found.x[i];
    }
}
template <int count, int width, class T> XG_FN void store(const T* from, T* to) {
#pragma unroll
    for (int k = 0; k < count; k += width) {
        Vector<T, width> made;
#pragma unroll
        for (int i = 0; i < width; ++i) made.x[i] = from[k + i];
        *reinterpret_cast<Vector<T, width>*>(to + k) = made;
    }
}

// ── reductions ───────────────────────────────────────────────────────────────────────────────
struct Sum {
    template <class T> static XG_FN T identity() { return T(0); }
    template <class T> static XG_FN T combine(T a, T b) { return add(a, b); }
};
struct Prod {
    template <class T> static XG_FN T identity() { return T(1); }
    template <class T> static XG_FN T combine(T a, T b) { return multiply(a, b); }
};
struct Max {
    template <class T> static XG_FN T identity() { return Range<T>::lowest(); }
    template <class T> static XG_FN T combine(T a, T b) { return maximum(a, b); }
};
struct Min {
    template <class T> static XG_FN T identity() { return Range<T>::highest(); }
    template <class T> static XG_FN T combine(T a, T b) { return minimum(a, b); }
};
struct Any {
    template <class T> static XG_FN T identity() { return T(0); }
    template <class T> static XG_FN T combine(T a, T b) { return a || b; }
};
struct All {
    template <class T> static XG_FN T identity() { return T(1); }
    template <class T> static XG_FN T combine(T a, T b) { return a && b; }
};

// Reduces ``x`` over the lanes of a warp; every lane has the result. Blocks are one-dimensional and have one thread
// or a multiple of 32. The order is fixed, so the bits are the same each time, except that lanes may differ in the
// sign of a maximum 0.
template <class Monoid, class T> XG_FN T warp_reduce(T x) {
    if (blockDim.x == 1) return x;
#pragma unroll
    for (int distance = 16; distance > 0; distance >>= 1)
        x = Monoid::combine(x, static_cast<T>(__shfl_xor_sync(0xffffffffu, x, distance)));
    return x;
}

// Reduces each entry of ``x`` over the lanes of a warp; one lane calls ``write(k, total)`` for each. In every
// exchange a lane passes on half of its entries, so 16 sums take 16 exchanges and not 80.
template <class Monoid, int count, class T, class Write> XG_FN void warp_totals(T (&x)[count], Write write) {
    if (blockDim.x == 1) {
        for (int k = 0; k < count; ++k) write(k, x[k]);
        return;
    }
    constexpr int all = count <= 1 ? 1 : count <= 2 ? 2 : count <= 4 ? 4 : count <= 8 ? 8 : count <= 16 ? 16 : 32;
    static_assert(count <= all, "one sum for each lane at most");
    const int lane = threadIdx.x & 31;
    T a[all];
#pragma unroll
    for (int k = 0; k < all; ++k) a[k] = k < count ? x[k < count ? k : 0] : Monoid::template identity<T>();
#pragma unroll
    for (int distance = 16, left = all / 2; distance > 0; distance >>= 1, left >>= 1) {
        if (left == 0) {
            a[0] = Monoid::combine(a[0], static_cast<T>(__shfl_xor_sync(0xffffffffu, a[0], distance)));
            continue;
        }
        const bool upper = lane & distance;
#pragma unroll
        for (int k = 0; k < all / 2; ++k) {
            if (k >= left) break;
            const T given = upper ? a[k] : a[k + left];
            const T kept = upper ? a[k + left] : a[k];
            a[k] = Monoid::combine(kept, static_cast<T>(__shfl_xor_sync(0xffffffffu, given, distance)));
        }
    }
    const int k = lane / (32 / all);
    if (lane % (32 / all) == 0 && k < count) write(k, a[0]);
}

// Reduces ``x`` over the threads of a block; every thread has the result, and every thread must call it. ``shared``
// has 32 entries, which are free again when it returns.
template <class Monoid, class T> XG_FN T block_reduce(T x, T* shared) {
    x = warp_reduce<Monoid>(x);
    if (blockDim.x <= 32) return x;
    const int lane = threadIdx.x & 31;
    if (lane == 0) shared[threadIdx.x >> 5] = x;
    __syncthreads();
    x = lane < static_cast<int>(blockDim.x >> 5) ? shared[lane] : Monoid::template identity<T>();
    x = warp_reduce<Monoid>(x);
    __syncthreads();
    return x;
}

// Combines the partial results of `blocks` blocks for each of `n` sums, in a fixed order: one warp per sum.
template <class Monoid, class Wide, class T>
XG_FN void combine_by_warps(const Wide* parts, T* out, long long n, long long blocks) {
    const int lanes = blockDim.x < 32 ? 1 : 32, lane = threadIdx.x % lanes;
    const long long warps = gridDim.x * (long long)blockDim.x / lanes;
    for (long long o = (blockIdx.x * (long long)blockDim.x + threadIdx.x) / lanes; o < n; o += warps) {
        Wide a = Monoid::template identity<Wide>();
        for (long long c = lane; c < blocks; c += lanes) a = Monoid::combine(a, parts[c * n + o]);
        a = warp_reduce<Monoid>(a);
        if (lane == 0) out[o] = static_cast<T>(a);
    }
}

// Combines them with one lane per sum; the warps divide the blocks, and neighbouring lanes read neighbours.
// ``shared`` has one entry per thread.
template <class Monoid, class Wide, class T>
XG_FN void combine_by_lanes(const Wide* parts, T* out, long long n, long long blocks, Wide* shared) {
    const int lanes = blockDim.x < 32 ? 1 : 32, lane = threadIdx.x % lanes;
    const int warp = threadIdx.x / lanes, warps = blockDim.x / lanes;
    for (long long begin = blockIdx.x * (long long)lanes; begin < n; begin += gridDim.x * (long long)lanes) {
        const long long o = begin + lane;
        Wide a = Monoid::template identity<Wide>();
        if (o < n)
            for (long long c = warp; c < blocks; c += warps) a = Monoid::combine(a, parts[c * n + o]);
        shared[threadIdx.x] = a;
        __syncthreads();
        if (warp == 0 && o < n) {
            for (int r = 1; r < warps; ++r) a = Monoid::combine(a, shared[r * lanes + lane]);
            out[o] = static_cast<T>(a);
        }
        __syncthreads();
    }
}

}  // namespace xg

#endif
