// SciPy's special functions, from CUDA's and in forms that neither overflow nor cancel.

#ifndef XG_SPECIAL
#define XG_SPECIAL

namespace xg {

// ── sums of exponentials ─────────────────────────────────────────────────────────────────────
template <class T> XG_FN T logaddexp2(T x, T y) {
    const T d = x == y ? T(0) : x - y;
    return (x > y ? x : y) + T(1.4426950408889634) * log1p(exp2(-fabs(d)));
}
// ── x log (x / y) ──────────────────────────────────────────────────────────────────────────────────
// log(x / y) for positive operands: near 1 by the difference, far off without a quotient.
template <class T> XG_FN T log_ratio(T x, T y) {
    const T ratio = x / y;
    if (fabs(ratio - T(1)) < T(0.5)) return log1p((x - y) / y);
    return ratio < T(1e-30) || ratio > T(1e30) ? log(x) - log(y) : log(ratio);
}
template <class T> XG_FN T xlog_ratio(T w, T x, T y) {
    const bool nothing = (w == T(0) && x == x && y == y) || (x == T(0) && y == T(0));
    return nothing ? T(0) : w * log_ratio(x, y);
}
template <class T> XG_FN T divergence(T x, T y, T inside, T at_zero) {
    if (x > T(0) && y > T(0)) return inside;
    if (x == T(0) && y >= T(0)) return at_zero;
    return x != x || y != y ? nan<T>() : infinity<T>();
}
template <class T> XG_FN T rel_entr(T x, T y) { return divergence(x, y, x * log_ratio(x, y), T(0)); }
template <class T> XG_FN T kl_div(T x, T y) { return divergence(x, y, x * log_ratio(x, y) - x + y, y); }

// ── elementary ───────────────────────────────────────────────────────────────────────────────
template <class T> XG_FN T cosm1(T x) {
    const T s = sin(T(0.5) * x);
    return T(0) - T(2) * s * s;
}
template <class T> XG_FN T exprel(T x) {
    return x == T(0) ? T(1) : x == infinity<T>() ? x : expm1(x) / x;
}

// ── error functions and the normal distribution ──────────────────────────────────────────────
XG_UNARY(erfinv, erfinv)
XG_UNARY(erfcinv, erfcinv)
XG_UNARY(ndtri, normcdfinv)
// What inv_mills has over -x. Left of -5 the sum would cancel: a continued fraction (DLMF 7.9.3).
template <class T> XG_FN T inv_mills_excess(T x) {
    if (!(x < T(-5))) return x + inv_mills(x);
    T q = T(0);
    for (int k = 26; k > 0; --k) q = T(k) / (q - x);
    return q;
}

// ── gamma and beta ───────────────────────────────────────────────────────────────────────────
XG_UNARY(gamma, tgamma)
XG_UNARY(log_gamma, lgamma)
template <class T> XG_FN bool is_pole(T x) { return x <= T(0) && x == floor(x); }
template <class T> XG_FN T gammaln(T x) { return x == -infinity<T>() ? x : log_gamma(x); }
template <class T> XG_FN T loggamma(T x) { return x < T(0) ? nan<T>() : log_gamma(x); }
template <class T> XG_FN T rgamma(T x) {
    // About 0 gamma may overflow.
    return fabs(x) < T(1e-20) ? x : is_pole(x) ? T(0) : T(1) / gamma(x);
}
template <class T> XG_FN T gammasgn(T x) {
    if (x == T(0)) return copysign(T(1), x);
    if (!(x < T(0))) return x != x ? x : T(1);
    const T down = floor(x);
    return down == x ? nan<T>() : fmod(down, T(2)) == T(0) ? T(1) : T(-1);
}

// By recurrence up to 10 and the asymptotic series from there (DLMF 5.11.2); by reflection for x < 0.
template <class T> XG_FN T digamma(T x) {
    if (x == T(0)) return copysign(infinity<T>(), -x);
    T y = T(0);
    if (x < T(0)) {
        if (x == floor(x)) return nan<T>();
        y = T(-3.141592653589793) * cospi(x) / sinpi(x);
        x = T(1) - x;
    }
    for (; x < T(10); x += T(1)) y -= T(1) / x;
    const T u = T(1) / x, z = u * u;
    T series = T(1.0 / 12);
    series = T(-691.0 / 32760) + z * series;
    series = T(1.0 / 132) + z * series;
    series = T(-1.0 / 240) + z * series;
    series = T(1.0 / 252) + z * series;
    series = T(-1.0 / 120) + z * series;
    series = T(1.0 / 12) + z * series;
    return y + (log(x) - T(0.5) * u - z * series);
}

// Hurwitz' zeta function, s > 1, q > 0: ten terms and more, then Euler and Maclaurin's formula (DLMF 25.11.5).
template <class T> XG_FN T zeta_right(T s, T q) {
    if (q > T(1e8)) return (T(1) / (s - T(1)) + T(0.5) / q) * power(q, T(1) - s);
    T total = T(0), term;
    for (int k = 0;; ++k, q += T(1)) {
        term = power(q, -s);
        if (term == T(0)) return total;
        if (k >= 9 && q > T(9)) break;
        total += term;
    }
    total += term * q / (s - T(1)) + T(0.5) * term;
    // B_2k / (2k)!, k = 1 to 8.
    const T factors[8] = {T(1.0 / 12), T(-1.0 / 720), T(1.0 / 30240), T(-1.0 / 1209600),
                          T(1.0 / 47900160), T(-691.0 / 1307674368000.0), T(1.0 / 74724249600.0),
                          T(-3617.0 / 10670622842880000.0)};
    T rising = s;
    term /= q;
    for (int k = 0; k < 8; ++k) {
        total += factors[k] * rising * term;
        rising *= (s + T(2 * k + 1)) * (s + T(2 * k + 2));
        term /= q * q;
    }
    return total;
}
template <class T> XG_FN T zeta(T s, T q) {
    if (s == T(1)) return infinity<T>();
    if (s < T(1)) return nan<T>();
    if (q <= T(0) && q == floor(q)) return infinity<T>();
    if (s != s || q != q) return nan<T>();
    if (q > T(0)) return zeta_right(s, q);
    if (s != floor(s)) return nan<T>();
    // The terms left of 0 are those of another such sum.
    const T left = zeta_right(s, ceil(q) - q) - zeta_right(s, T(1) - q);
    return zeta_right(s, q - floor(q)) + (fmod(s, T(2)) == T(0) ? left : -left);
}
template <class T> XG_FN T polygamma(T n, T x) {
    if (n == T(0)) return digamma(x);
    if (n != floor(n)) return nan<T>();
    const T size = gamma(n + T(1)) * zeta(n + T(1), x);
    return fmod(n, T(2)) == T(0) ? -size : size;
}

// What Stirling's formula lacks of log gamma, x >= 10.
template <class T> XG_FN T stirling_rest(T x) {
    const T u = T(1) / x, z = u * u;
    T series = T(-691.0 / 360360);
    series = T(1.0 / 1188) + z * series;
    series = T(-1.0 / 1680) + z * series;
    series = T(1.0 / 1260) + z * series;
    series = T(-1.0 / 360) + z * series;
    return u * (T(1.0 / 12) + z * series);
}
// Where an operand is large the logarithms of gamma cancel: of Stirling's formula only what is left is taken.
template <class T> XG_FN T betaln_right(T a, T b) {
    const T large = a > b ? a : b, small = a > b ? b : a, sum = a + b;
    if (large == infinity<T>()) return -infinity<T>();
    if (!(large >= T(10))) return log_gamma(a) + log_gamma(b) - log_gamma(sum);
    const T rest = stirling_rest(large) - stirling_rest(sum) - (large - T(0.5)) * log1p(small / large);
    if (small < T(10)) return log_gamma(small) + rest + small * (T(1) - log(sum));
    return rest + stirling_rest(small) - small * log1p(large / small) - T(0.5) * log(small) + T(0.9189385332046727);
}
// log|beta| and its sign, with the finite values that it has at poles of gamma.
template <class T> XG_FN T betaln_signed(T a, T b, T& sign) {
    sign = T(1);
    if (a > T(0) && b > T(0)) return betaln_right(a, b);
    if (is_pole(a) || is_pole(b)) {
        const T pole = is_pole(a) ? a : b, other = is_pole(a) ? b : a;
        if (!(other > T(0) && other == floor(other) && pole + other < T(1))) return infinity<T>();
        sign = fmod(other, T(2)) == T(0) ? T(1) : T(-1);
        return betaln_right(T(1) - pole - other, other);
    }
    sign = is_pole(a + b) ? T(1) : gammasgn(a) * gammasgn(b) * gammasgn(a + b);
    if (a == infinity<T>() || b == infinity<T>()) return infinity<T>();
    return log_gamma(a) + log_gamma(b) - log_gamma(a + b);
}
template <class T> XG_FN T betaln(T a, T b) {
    T sign;
    return betaln_signed(a, b, sign);
}
template <class T> XG_FN T beta(T a, T b) {
    T sign;
    const T log = betaln_signed(a, b, sign);
    return sign * exp(log);
}

// x^p exp(-x - c) and x^p (1 - x)^q exp(-c): the exponent is a difference of large numbers, so in double.
XG_FN double gamma_kernel(double p, double x, double c) {
    return x == infinity<double>() ? 0.0 : exp((p == 0.0 ? 0.0 : p * log(x)) - x - c);
}
XG_FN double beta_kernel(double p, double q, double x, double c) {
    return exp((p == 0.0 ? 0.0 : p * log(x)) + (q == 0.0 ? 0.0 : q * log1p(-x)) - c);
}

// ── Bessel functions ─────────────────────────────────────────────────────────────────────────
// SciPy has NaN at infinity, and for y left of 0. In double: CUDA's in float32 are off by 2e-6 for |x| > 8, of
// values that go down to 0.
#define XG_BESSEL(name, defined)                                                      \
    XG_FN double name(double x) { return defined ? ::name(x) : nan<double>(); }       \
    XG_FN float name(float x) { return static_cast<float>(name(static_cast<double>(x))); }
XG_BESSEL(j0, isfinite(x))
XG_BESSEL(j1, isfinite(x))
XG_BESSEL(y0, isfinite(x) && x >= 0)
XG_BESSEL(y1, isfinite(x) && x >= 0)
XG_UNARY(i0, cyl_bessel_i0)
XG_UNARY(i1, cyl_bessel_i1)
XG_FN double yn_right(int n, double x) { return ::yn(n, x); }
XG_FN float yn_right(int n, float x) { return static_cast<float>(yn_right(n, static_cast<double>(x))); }
template <class T> XG_FN T yn(T n, T x) {
    if (!(x >= T(0)) || n != n) return nan<T>();
    const T y = yn_right(static_cast<int>(fabs(n)), x);
    return n < T(0) && fmod(trunc(n), T(2)) != T(0) ? -y : y;
}
// Beyond 60 Hankel's series (DLMF 10.40.1), for i0 and i1 overflow; mu is 4 times the square of the order.
template <class T> XG_FN T scaled_far(T a, T mu) {
    T total = T(1), term = T(1);
    for (int k = 1; k < 14; ++k) {
        const T odd = T(2 * k - 1);
        term *= (odd * odd - mu) / (T(8 * k) * a);
        total += term;
    }
    return T(0.3989422804014327) * total / sqrt(a);
}
template <class T> XG_FN T i0e(T x) {
    const T a = fabs(x);
    return a > T(60) ? scaled_far(a, T(0)) : exp(-a) * i0(a);
}
template <class T> XG_FN T i1e(T x) {
    const T a = fabs(x);
    return copysign(a > T(60) ? scaled_far(a, T(4)) : exp(-a) * i1(a), x);
}

}  // namespace xg

#endif
