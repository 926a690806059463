// CUDA's words for g++ on Linux, and CUDA's functions from the C library's.
//
// What comes before `prelude.cuh`, with XG_SHIM defined; `shim.py` adds a launcher for each kernel. Blocks run
// one after another. The threads of a block are fibers, of which one runs until it reaches a barrier, which is
// `__syncthreads`, or needs the values of a shuffle. So there is an order, which can be reversed, and nothing is
// ever torn; threads that wait in vain are reported. With XG_SHIM_RACES defined, `races.cpp` is called with the
// thread that runs, the number of its barriers, and the place of shared memory.

#pragma once

#include <ucontext.h>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __constant__ static const
#define __shared__ static __attribute__((section("xgshared")))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

// What is the shim's own is not watched.
#define XG_SHIM_OWN __attribute__((no_sanitize("thread")))

// ── threads and blocks ───────────────────────────────────────────────────────────────────────
struct uint3 {
    unsigned int x, y, z;
};
typedef uint3 dim3;
static uint3 threadIdx = {0, 0, 0}, blockIdx = {0, 0, 0};
static dim3 blockDim = {1, 1, 1}, gridDim = {1, 1, 1};
static const int warpSize = 32;

enum xg_shim_failure { XG_SHIM_FINE, XG_SHIM_TOO_MUCH, XG_SHIM_BEYOND, XG_SHIM_IN_VAIN, XG_SHIM_GONE };
static const unsigned int xg_shim_threads = 1024;
static const unsigned long xg_shim_stack = 256 << 10;
struct xg_shim_fiber {
    ucontext_t context;
    char* stack;
    bool done;
    unsigned int barriers, shuffles;  // how many of each it has reached
    unsigned char value[2][16];       // those of its last two shuffles
};
static xg_shim_fiber xg_shim_fibers[xg_shim_threads];
static ucontext_t xg_shim_scheduler;
static bool xg_shim_moved;  // whether any thread has gone on since all were last asked
static xg_shim_failure xg_shim_failed;
static void (*xg_shim_body)(void*);
static void* xg_shim_argument;

#ifdef XG_SHIM_RACES
extern "C" {
void xg_race_shared(const char* name, const void* low, const void* high);
void xg_race_block(unsigned int block);
void xg_race_thread(unsigned int thread, unsigned int barriers, const void* low, const void* high);
// The linker's, around a section; where no kernel has such an array there is none.
extern char __start_xgshared[] __attribute__((weak, visibility("hidden")));
extern char __stop_xgshared[] __attribute__((weak, visibility("hidden")));
}
#else
static inline void xg_race_block(unsigned int) {}
static inline void xg_race_thread(unsigned int, unsigned int, const void*, const void*) {}
#endif

XG_SHIM_OWN static inline xg_shim_fiber& xg_shim_self() { return xg_shim_fibers[threadIdx.x]; }
XG_SHIM_OWN static inline void xg_shim_tell() {
    const xg_shim_fiber& self = xg_shim_self();
    xg_race_thread(threadIdx.x, self.barriers, self.stack, self.stack + xg_shim_stack);
}
// Until all threads from `first` on have counted as far; those at their end do not count.
XG_SHIM_OWN static inline void xg_shim_wait(
    unsigned int xg_shim_fiber::*count, unsigned int first, unsigned int number) {
    xg_shim_fiber& self = xg_shim_self();
    for (;;) {
        bool all = true;
        for (unsigned int t = first; t < first + number; ++t)
            all = all && (xg_shim_fibers[t].done || xg_shim_fibers[t].*count >= self.*count);
        if (all) break;
        swapcontext(&self.context, &xg_shim_scheduler);
    }
    xg_shim_moved = true;
    xg_shim_tell();
}
XG_SHIM_OWN static inline void __syncthreads() {
    if (blockDim.x == 1) return;
    ++xg_shim_self().barriers;
    xg_shim_wait(&xg_shim_fiber::barriers, 0, blockDim.x);
}
template <class T> XG_SHIM_OWN static inline T xg_shim_shuffle(T x, int lane) {
    if (blockDim.x == 1) return x;
    xg_shim_fiber& self = xg_shim_self();
    const unsigned int first = threadIdx.x & ~31u, which = self.shuffles & 1;
    __builtin_memcpy(self.value[which], &x, sizeof(x));
    ++self.shuffles;
    xg_shim_wait(&xg_shim_fiber::shuffles, first, 32);
    const xg_shim_fiber& other = xg_shim_fibers[first + (lane & 31)];
    if (other.shuffles < self.shuffles) xg_shim_failed = XG_SHIM_GONE;
    __builtin_memcpy(&x, other.value[which], sizeof(x));
    return x;
}
XG_SHIM_OWN static inline int xg_shim_lane() { return threadIdx.x & 31; }
template <class T> static inline T __shfl_sync(unsigned int, T x, int lane) { return xg_shim_shuffle(x, lane); }
template <class T> static inline T __shfl_xor_sync(unsigned int, T x, int mask) {
    return xg_shim_shuffle(x, xg_shim_lane() ^ mask);
}
template <class T> static inline T __shfl_down_sync(unsigned int, T x, unsigned int by) {
    const int lane = xg_shim_lane() + by;
    return xg_shim_shuffle(x, lane < 32 ? lane : xg_shim_lane());
}
template <class T> static inline T __shfl_up_sync(unsigned int, T x, unsigned int by) {
    const int lane = xg_shim_lane() - by;
    return xg_shim_shuffle(x, lane >= 0 ? lane : xg_shim_lane());
}
static inline void __syncwarp(unsigned int = 0xffffffffu) { xg_shim_shuffle(0, 0); }
static inline void __threadfence() {}
static inline void __threadfence_block() {}
template <class T> static inline T atomicAdd(T* p, T x) {
    const T old = *p;
    *p = old + x;
    return old;
}

// Before each block NaN stands in what the kernel asked for, and a mark behind it.
static const unsigned long xg_shim_limit = 256 << 10;
static const unsigned long xg_shim_mark = 64;
static unsigned char* const xg_shim_shared =
    static_cast<unsigned char*>(__builtin_malloc(xg_shim_limit + xg_shim_mark));
#define XG_DYNAMIC_SHARED(name) unsigned char* const name = xg_shim_shared

XG_SHIM_OWN static void xg_shim_enter() {
    xg_shim_body(xg_shim_argument);
    xg_shim_self().done = xg_shim_moved = true;
}
XG_SHIM_OWN static inline void xg_shim_run_block(bool reverse) {
    const unsigned int threads = blockDim.x;
    for (unsigned int t = 0; t < threads; ++t) {
        xg_shim_fiber& fiber = xg_shim_fibers[t];
        if (!fiber.stack) fiber.stack = static_cast<char*>(__builtin_malloc(xg_shim_stack));
        fiber.done = false;
        fiber.barriers = fiber.shuffles = 0;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack;
        fiber.context.uc_stack.ss_size = xg_shim_stack;
        fiber.context.uc_link = &xg_shim_scheduler;
        makecontext(&fiber.context, xg_shim_enter, 0);
    }
    for (unsigned int left = threads; left && !xg_shim_failed;) {
        left = 0;
        xg_shim_moved = false;
        for (unsigned int k = 0; k < threads; ++k) {
            threadIdx.x = reverse ? threads - 1 - k : k;
            if (xg_shim_self().done) continue;
            ++left;
            xg_shim_tell();
            swapcontext(&xg_shim_scheduler, &xg_shim_self().context);
        }
        if (left && !xg_shim_moved) xg_shim_failed = XG_SHIM_IN_VAIN;
    }
    threadIdx.x = 0;
}
template <class Body>
XG_SHIM_OWN static int xg_shim_run(
    unsigned int grid, unsigned int block, unsigned long shared, bool reverse, Body body) {
    if (shared > xg_shim_limit || block > xg_shim_threads) return XG_SHIM_TOO_MUCH;
    gridDim.x = grid;
    blockDim.x = block;
    xg_shim_failed = XG_SHIM_FINE;
    xg_shim_body = [](void* given) XG_SHIM_OWN { (*static_cast<Body*>(given))(); };
    xg_shim_argument = &body;
#ifdef XG_SHIM_RACES
    xg_race_shared("a __shared__ array", __start_xgshared, __stop_xgshared);
    xg_race_shared("the dynamic shared memory", xg_shim_shared, xg_shim_shared + shared);
#endif
    const char* const here = static_cast<const char*>(__builtin_frame_address(0));
    for (unsigned int b = 0; b < grid && !xg_shim_failed; ++b) {
        blockIdx.x = reverse ? grid - 1 - b : b;
        xg_race_block(blockIdx.x);
        __builtin_memset(xg_shim_shared, 0xff, shared);
        __builtin_memset(xg_shim_shared + shared, 0xa5, xg_shim_mark);
        if (block == 1) {
            xg_race_thread(0, 0, here - xg_shim_stack, here);
            body();
        } else {
            xg_shim_run_block(reverse);
        }
        for (unsigned long k = 0; k < xg_shim_mark; ++k)
            if (xg_shim_shared[shared + k] != 0xa5) xg_shim_failed = XG_SHIM_BEYOND;
    }
    return xg_shim_failed;
}

// ── memory ───────────────────────────────────────────────────────────────────────────────────
template <class T> static inline T __ldg(const T* p) { return *p; }
template <class T> static inline T __ldcs(const T* p) { return *p; }
template <class T> static inline T __ldcg(const T* p) { return *p; }
template <class T> static inline T __ldca(const T* p) { return *p; }
template <class T> static inline void __stcs(T* p, T x) { *p = x; }
template <class T> static inline void __stcg(T* p, T x) { *p = x; }
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) double2 {
    double x, y;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned int x, y;
};
struct alignas(16) uint4 {
    unsigned int x, y, z, w;
};
struct alignas(16) longlong2 {
    long long x, y;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline double2 make_double2(double x, double y) { return {x, y}; }

// ── bits ─────────────────────────────────────────────────────────────────────────────────────
template <class To, class From> static inline To xg_shim_bits(From x) {
    static_assert(sizeof(To) == sizeof(From));
    To y;
    __builtin_memcpy(&y, &x, sizeof(y));
    return y;
}
static inline float __int_as_float(int x) { return xg_shim_bits<float>(x); }
static inline int __float_as_int(float x) { return xg_shim_bits<int>(x); }
static inline float __uint_as_float(unsigned int x) { return xg_shim_bits<float>(x); }
static inline unsigned int __float_as_uint(float x) { return xg_shim_bits<unsigned int>(x); }
static inline double __longlong_as_double(long long x) { return xg_shim_bits<double>(x); }
static inline long long __double_as_longlong(double x) { return xg_shim_bits<long long>(x); }
static inline int __popc(unsigned int x) { return __builtin_popcount(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int min(int a, int b) { return b < a ? b : a; }
static inline int max(int a, int b) { return a < b ? b : a; }
static inline long long min(long long a, long long b) { return b < a ? b : a; }
static inline long long max(long long a, long long b) { return a < b ? b : a; }

// A float16 by its bits: the exponent is moved by a product, which makes subnormal numbers normal.
static inline float xg_shim_half(unsigned short bits) {
    const unsigned int sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
    if (rest >= 0x7c00u) return __uint_as_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    return __uint_as_float(sign | __float_as_uint(__uint_as_float(rest << 13) * 0x1p112f));
}

// ── functions of the C library, which it and CUDA have by the same name ──────────────────────
#define XG_SHIM_C(name)            \
    double name(double) noexcept;  \
    float name##f(float) noexcept;
#define XG_SHIM_C2(name)                   \
    double name(double, double) noexcept;  \
    float name##f(float, float) noexcept;
extern "C" {
XG_SHIM_C(exp) XG_SHIM_C(exp2) XG_SHIM_C(exp10) XG_SHIM_C(expm1) XG_SHIM_C(log) XG_SHIM_C(log2) XG_SHIM_C(log10)
XG_SHIM_C(log1p) XG_SHIM_C(sqrt) XG_SHIM_C(cbrt) XG_SHIM_C(sin) XG_SHIM_C(cos) XG_SHIM_C(tan) XG_SHIM_C(sinh)
XG_SHIM_C(cosh) XG_SHIM_C(tanh) XG_SHIM_C(asin) XG_SHIM_C(acos) XG_SHIM_C(atan) XG_SHIM_C(asinh)
XG_SHIM_C(acosh) XG_SHIM_C(atanh) XG_SHIM_C(fabs) XG_SHIM_C(floor) XG_SHIM_C(ceil) XG_SHIM_C(trunc)
XG_SHIM_C(rint) XG_SHIM_C(erf) XG_SHIM_C(erfc) XG_SHIM_C(tgamma) XG_SHIM_C(lgamma) XG_SHIM_C(j0) XG_SHIM_C(j1)
XG_SHIM_C(y0) XG_SHIM_C(y1) XG_SHIM_C2(pow) XG_SHIM_C2(hypot) XG_SHIM_C2(atan2) XG_SHIM_C2(copysign)
XG_SHIM_C2(fmax) XG_SHIM_C2(fmin) XG_SHIM_C2(fmod)
double fma(double, double, double) noexcept;
float fmaf(float, float, float) noexcept;
double ldexp(double, int) noexcept;
float ldexpf(float, int) noexcept;
double yn(int, double) noexcept;
float ynf(int, float) noexcept;
}

// ── functions that only CUDA has; those of float by way of double ────────────────────────────
#define XG_SHIM_SINGLE(name) \
    static inline float name##f(float x) { return static_cast<float>(name(static_cast<double>(x))); }
static const double xg_shim_pi = 3.141592653589793;

static inline double sinpi(double x) {
    // The rest of a division by 2 is exact, and so is its distance from the nearest zero.
    const double r = fmod(x, 2.0), n = rint(r);
    const double s = sin(xg_shim_pi * (r - n));
    return r == n ? copysign(0.0, x) : n == 1.0 || n == -1.0 ? -s : s;
}
static inline double cospi(double x) {
    const double r = fmod(fabs(x), 2.0);
    return sinpi(r < 1.0 ? 0.5 - r : r - 1.5);
}
// exp(x^2) erfc(x); from 8 on, where erfc loses digits, Laplace's continued fraction.
static inline double erfcx(double x) {
    if (x < 8.0) {
        const double square = x * x;
        return x < -27.0 ? __longlong_as_double(0x7ff0000000000000LL)
                         : exp(square) * (1.0 + fma(x, x, -square)) * erfc(x);
    }
    double q = 0.0;
    for (int k = 40; k > 0; --k) q = 0.5 * k / (x + q);
    return 0.5641895835477563 / (x + q);
}
// The solution of erfc(y) = x, 0 < x <= 1, by Newton's method on the logarithm, which is concave, from above.
static inline double xg_shim_inverse(double x) {
    const double wanted = log(x);
    double y = sqrt(-wanted);
    for (int k = 0; k < 60; ++k) {
        const double scaled = erfcx(y);
        const double step = (log(scaled) - y * y - wanted) * scaled / 1.1283791670955126;
        y += step;
        if (fabs(step) <= 1e-16 * y) break;
    }
    return y;
}
static inline double erfcinv(double x) {
    if (!(x >= 0.0 && x <= 2.0)) return __longlong_as_double(0x7ff8000000000000LL);
    if (x == 0.0 || x == 2.0) return copysign(__longlong_as_double(0x7ff0000000000000LL), 1.0 - x);
    return x <= 1.0 ? xg_shim_inverse(x) : -xg_shim_inverse(2.0 - x);
}
static inline double erfinv(double x) {
    const double a = fabs(x);
    if (!(a < 0.3)) return copysign(erfcinv(1.0 - a), x);
    double y = 0.886226925452758 * x;
    for (int k = 0; k < 8; ++k) y -= (erf(y) - x) / (1.1283791670955126 * exp(-y * y));
    return x == 0.0 ? x : y;
}
static inline double normcdfinv(double x) { return -1.4142135623730951 * erfcinv(2.0 * x); }
static inline double normcdf(double x) { return 0.5 * erfc(-0.7071067811865476 * x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline double rcbrt(double x) { return 1.0 / cbrt(x); }
// The power series up to 40, from there Hankel's (DLMF 10.25.2, 10.40.1).
static inline double xg_shim_bessel(int order, double x) {
    const double a = fabs(x);
    double sum = 1.0, term = 1.0;
    if (a < 40.0) {
        for (int k = 1; k < 200; ++k) sum += term *= 0.25 * a * a / (k * static_cast<double>(k + order));
        return order ? 0.5 * x * sum : sum;
    }
    for (int k = 1; k < 20; ++k)
        sum += term *= ((2.0 * k - 1.0) * (2.0 * k - 1.0) - 4.0 * order) / (8.0 * k * a);
    const double half = exp(0.5 * a), size = half * (sum / sqrt(2.0 * xg_shim_pi * a)) * half;
    return order ? copysign(size, x) : size;
}
static inline double cyl_bessel_i0(double x) { return xg_shim_bessel(0, x); }
static inline double cyl_bessel_i1(double x) { return xg_shim_bessel(1, x); }

XG_SHIM_SINGLE(sinpi)
XG_SHIM_SINGLE(cospi)
XG_SHIM_SINGLE(erfcx)
XG_SHIM_SINGLE(erfinv)
XG_SHIM_SINGLE(erfcinv)
XG_SHIM_SINGLE(normcdfinv)
XG_SHIM_SINGLE(normcdf)
XG_SHIM_SINGLE(rsqrt)
XG_SHIM_SINGLE(rcbrt)
static inline float cyl_bessel_i0f(float x) { return static_cast<float>(cyl_bessel_i0(x)); }
static inline float cyl_bessel_i1f(float x) { return static_cast<float>(cyl_bessel_i1(x)); }
