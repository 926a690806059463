// What every generated kernel may call: types, NumPy's elementary functions, reductions over threads.
//
// For NVRTC as C++17, which includes nothing and has CUDA's functions built in, and, with XG_SHIM defined and
// tests/backends/gpu/shim.h before it, for g++. CUDA's accurate functions only; where one is not NumPy's at
// zeros, infinities or NaN, it is set right here. A function on float has no double in it: numbers are T(..).

#ifndef XG_PRELUDE
#define XG_PRELUDE

#define XG_FN __device__ __forceinline__

// The dynamic shared memory of a kernel, as bytes; tests have a buffer instead.
#ifndef XG_DYNAMIC_SHARED
#define XG_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif

namespace xg {

// ── types of 16 bits: read, and never computed with ─────────────────────────────────────────
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
XG_RANGE(float, -infinity<float>(), infinity<float>())
XG_RANGE(double, -infinity<double>(), infinity<double>())
XG_RANGE(bool, false, true)
XG_RANGE(signed char, -128, 127)
XG_RANGE(short, -32768, 32767)
XG_RANGE(int, (-2147483647 - 1), 2147483647)
XG_RANGE(long long, (-9223372036854775807LL - 1), 9223372036854775807LL)
XG_RANGE(unsigned char, 0, 255)
XG_RANGE(unsigned short, 0, 65535)
XG_RANGE(unsigned int, 0, 4294967295u)
XG_RANGE(unsigned long long, 0, 18446744073709551615ULL)
#undef XG_RANGE

// ── CUDA's functions by NumPy's names ────────────────────────────────────────────────────────
#define XG_UNARY(name, cuda)                                 \
    XG_FN float name(float x) { return ::cuda##f(x); }       \
    XG_FN double name(double x) { return ::cuda(x); }
// @own functions
XG_FN float fma(float x, float y, float z) { return ::fmaf(x, y, z); }
XG_FN double fma(double x, double y, double z) { return ::fma(x, y, z); }

// ── signs and choice ─────────────────────────────────────────────────────────────────────────
template <class T> XG_FN bool isnan(T x) { return x != x; }
template <class T> XG_FN bool isinf(T x) { return fabs(x) == infinity<T>(); }
template <class T> XG_FN bool isfinite(T x) { return fabs(x) < infinity<T>(); }
XG_FN bool signbit(float x) { return __float_as_int(x) < 0; }
XG_FN bool signbit(double x) { return __double_as_longlong(x) < 0; }

// NumPy's maximum and minimum hand a NaN on, and the second of two zeros.
template <class T> XG_FN T maximum(T a, T b) { return a > b || a != a ? a : b; }
template <class T> XG_FN T minimum(T a, T b) { return a < b || a != a ? a : b; }
template <class T> XG_FN T at_least(T x, T low) { return x < low ? low : x; }
template <class T> XG_FN T reciprocal(T x) { return T(1) / x; }
template <class T> XG_FN T sign(T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x != x ? x : T(0); }
template <class T> XG_FN T heaviside(T x, T at_zero) {
    return x == T(0) ? at_zero : x < T(0) ? T(0) : x > T(0) ? T(1) : x;
}
template <class T> XG_FN T angle(T x) { return x != x ? x : signbit(x) ? T(3.141592653589793) : T(0); }
template <class T> XG_FN T nan_to_num(T x, T of_nan, T above, T below) {
    return x != x ? of_nan : x == infinity<T>() ? above : x == -infinity<T>() ? below : x;
}
XG_FN int exponent(long long n) { return n > 5000 ? 5000 : n < -5000 ? -5000 : static_cast<int>(n); }
XG_FN float ldexp(float x, long long n) { return ::ldexpf(x, exponent(n)); }
XG_FN double ldexp(double x, long long n) { return ::ldexp(x, exponent(n)); }

// ── division with remainder ──────────────────────────────────────────────────────────────────
template <class T> XG_FN T remainder_of_floats(T x, T y) {
    const T m = fmod(x, y);
    return m == T(0) ? copysign(m, y) : (m < T(0)) != (y < T(0)) ? m + y : m;
}
template <class T> XG_FN T quotient_of_floats(T x, T y) {
    const T m = fmod(x, y);
    T q = (x - m) / y;
    if (m != T(0) && (m < T(0)) != (y < T(0))) q -= T(1);
    const T down = floor(q);
    const T whole = q - down > T(0.5) ? down + T(1) : down;
    return y == T(0) ? x / y : q == T(0) ? copysign(T(0), x / y) : whole;
}
XG_FN float remainder(float x, float y) { return remainder_of_floats(x, y); }
XG_FN double remainder(double x, double y) { return remainder_of_floats(x, y); }
XG_FN float floor_divide(float x, float y) { return quotient_of_floats(x, y); }
XG_FN double floor_divide(double x, double y) { return quotient_of_floats(x, y); }

// Of integers NumPy's result for a divisor 0 is 0, and the quotient that overflows wraps around.
#define XG_SIGNED(type, wide)                                                                     \
    XG_FN type quotient_towards_zero(type a, type b) {                                            \
        return b == 0 ? 0 : b == -1 ? static_cast<type>(-static_cast<wide>(a)) : a / b;           \
    }                                                                                             \
    XG_FN type rest_towards_zero(type a, type b) { return b == 0 || b == -1 ? 0 : a % b; }        \
    XG_FN type quotient_downwards(type a, type b) {                                               \
        return quotient_towards_zero(a, b) - (rest_towards_zero(a, b) != 0 && (a < 0) != (b < 0)); \
    }                                                                                             \
    XG_FN type rest_downwards(type a, type b) {                                                   \
        const type rest = rest_towards_zero(a, b);                                                \
        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;                              \
    }
#define XG_UNSIGNED(type)                                                                     \
    XG_FN type rest_towards_zero(type a, type b) { return b == 0 ? 0 : a % b; }               \
    XG_FN type quotient_downwards(type a, type b) { return b == 0 ? 0 : a / b; }              \
    XG_FN type rest_downwards(type a, type b) { return rest_towards_zero(a, b); }
XG_SIGNED(int, unsigned int)
XG_SIGNED(long long, unsigned long long)
XG_UNSIGNED(unsigned int)
XG_UNSIGNED(unsigned long long)
#undef XG_SIGNED
#undef XG_UNSIGNED
// Shorter integers are promoted to int.
template <class T> XG_FN T fmod(T a, T b) { return static_cast<T>(rest_towards_zero(a, b)); }
template <class T> XG_FN T remainder(T a, T b) { return static_cast<T>(rest_downwards(a, b)); }
template <class T> XG_FN T floor_divide(T a, T b) { return static_cast<T>(quotient_downwards(a, b)); }

// ── integers, which wrap around ──────────────────────────────────────────────────────────────
typedef unsigned long long Bits;
template <class T> XG_FN T add(T a, T b) { return static_cast<T>(static_cast<Bits>(a) + static_cast<Bits>(b)); }
template <class T> XG_FN T subtract(T a, T b) {
    return static_cast<T>(static_cast<Bits>(a) - static_cast<Bits>(b));
}
template <class T> XG_FN T multiply(T a, T b) {
    return static_cast<T>(static_cast<Bits>(a) * static_cast<Bits>(b));
}
template <class T> XG_FN T negative(T x) { return static_cast<T>(Bits(0) - static_cast<Bits>(x)); }
template <class T> XG_FN T absolute(T x) { return x < 0 ? negative(x) : x; }
template <class T> XG_FN T bitwise_and(T a, T b) { return static_cast<T>(a & b); }
template <class T> XG_FN T bitwise_or(T a, T b) { return static_cast<T>(a | b); }
template <class T> XG_FN T bitwise_xor(T a, T b) { return static_cast<T>(a ^ b); }
template <class T> XG_FN T invert(T x) { return static_cast<T>(~x); }
template <class T> XG_FN T whole_power(T x, T n) {
    Bits power = 1, square = static_cast<Bits>(x);
    for (Bits left = static_cast<Bits>(n); left != 0; left >>= 1) {
        if (left & 1) power *= square;
        square *= square;
    }
    return static_cast<T>(power);
}
XG_FN float add(float a, float b) { return a + b; }
XG_FN double add(double a, double b) { return a + b; }
XG_FN float multiply(float a, float b) { return a * b; }
XG_FN double multiply(double a, double b) { return a * b; }
XG_FN float absolute(float x) { return ::fabsf(x); }
XG_FN double absolute(double x) { return ::fabs(x); }

// Integers of both signs and of 64 bits, compared as numbers.
XG_FN bool less(long long a, Bits b) { return a < 0 || static_cast<Bits>(a) < b; }
XG_FN bool less(Bits a, long long b) { return b > 0 && a < static_cast<Bits>(b); }
XG_FN bool equal(long long a, Bits b) { return a >= 0 && static_cast<Bits>(a) == b; }
XG_FN bool equal(Bits a, long long b) { return equal(b, a); }
template <class A, class B> XG_FN bool not_equal(A a, B b) { return !equal(a, b); }
template <class A, class B> XG_FN bool greater(A a, B b) { return less(b, a); }
template <class A, class B> XG_FN bool less_equal(A a, B b) { return !less(b, a); }
template <class A, class B> XG_FN bool greater_equal(A a, B b) { return !less(a, b); }

// A label as an index: a negative one counts from the end. One outside wraps around, as CuPy has it: an error
// would have to wait for the device.
XG_FN long long from_end(long long label, long long count) {
    if (label < 0) label += count;
    if (Bits(label) < Bits(count)) return label;
    label = count ? label % count : 0;
    return label < 0 ? label + count : label;
}

// ── memory ───────────────────────────────────────────────────────────────────────────────────
// As many entries as are read or written at once: `pack` of them, whose first is aligned to all of their bytes.
template <class T, int pack> struct alignas(sizeof(T) * pack) Pack {
    T x[pack];
};
template <int count, int pack, class T> XG_FN void load(T* to, const T* from) {
#pragma unroll
    for (int k = 0; k < count; k += pack) {
        const Pack<T, pack> found = *reinterpret_cast<const Pack<T, pack>*>(from + k);
#pragma unroll
        for (int i = 0; i < pack; ++i) to[k + i] = found.x[i];
    }
}
template <int count, int pack, class T> XG_FN void store(const T* from, T* to) {
#pragma unroll
    for (int k = 0; k < count; k += pack) {
        Pack<T, pack> made;
#pragma unroll
        for (int i = 0; i < pack; ++i) made.x[i] = from[k + i];
        *reinterpret_cast<Pack<T, pack>*>(to + k) = made;
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

// ``x`` of all lanes of a warp, in every lane. Blocks have a multiple of 32 threads, or one, along x alone. The
// order is fixed, so that the bits are the same each time; lanes may differ in the sign of a maximum 0.
template <class Monoid, class T> XG_FN T warp_reduce(T x) {
    if (blockDim.x == 1) return x;
#pragma unroll
    for (int distance = 16; distance > 0; distance >>= 1)
        x = Monoid::combine(x, static_cast<T>(__shfl_xor_sync(0xffffffffu, x, distance)));
    return x;
}

// Each of several ``x`` of all lanes of a warp: ``write(k, total)`` is called by one lane for each. With every
// exchange a lane gives away half of what it has, so that 16 sums take 16 exchanges instead of 80.
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

// ``x`` of all threads of a block, in every thread. All of them call it; ``shared`` has 32 entries, and may be
// used again when it returns.
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

// The parts of `n` sums that `blocks` blocks made, in a fixed order: a warp for each sum, lanes side by side.
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

// The same with a sum for each lane, the blocks' parts shared out among the warps: neighbours are read together.
// ``shared`` has an entry for each thread.
template <class Monoid, class Wide, class T>
XG_FN void combine_by_lanes(const Wide* parts, T* out, long long n, long long blocks, Wide* shared) {
    const int lanes = blockDim.x < 32 ? 1 : 32, lane = threadIdx.x % lanes;
    const int row = threadIdx.x / lanes, rows = blockDim.x / lanes;
    for (long long begin = blockIdx.x * (long long)lanes; begin < n; begin += gridDim.x * (long long)lanes) {
        const long long o = begin + lane;
        Wide a = Monoid::template identity<Wide>();
        if (o < n)
            for (long long c = row; c < blocks; c += rows) a = Monoid::combine(a, parts[c * n + o]);
        shared[threadIdx.x] = a;
        __syncthreads();
        if (row == 0 && o < n) {
            for (int r = 1; r < rows; ++r) a = Monoid::combine(a, shared[r * lanes + lane]);
            out[o] = static_cast<T>(a);
        }
        __syncthreads();
    }
}

}  // namespace xg

#endif
