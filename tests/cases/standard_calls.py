"""Calls of every function of the array API standard, each with dtypes of the kinds that it takes.

A call is a function of the namespace and of arrays by the names of their dtypes; ``b`` holds truth values. What
`array_api_strict` gives for it is right.
"""

import numpy as np

REAL = ["int8", "uint8", "int64", "uint32", "float32", "float64"]
FLOATS = ["float32", "float64"]
COMPLEX = ["complex64", "complex128"]
INEXACT = FLOATS + COMPLEX
NUMERIC = REAL + COMPLEX
INTEGERS = REAL[:4]
ALL = ["bool", *NUMERIC]


def arrays(rng):
    """Two arrays of each dtype: positive entries, none of them alike, and small enough to be squared."""
    found = {}
    for dtype in ALL:
        kind = np.dtype(dtype).kind
        a, b = rng.permutation(12).reshape(3, 4) + 1, rng.permutation(12).reshape(3, 4) % 3 + 1
        if kind == "b":
            a, b = a > 6, b > 1
        if kind in "fc":
            a, b = a / 13, b / 5 + 0.1
        if kind == "c":
            a, b = a + 0.2j * b, b - 0.1j * a
        found[dtype] = a.astype(dtype), b.astype(dtype)
    return found


UNARY = {
    "abs positive negative square real sign": NUMERIC,
    "ceil floor round trunc": REAL,
    "exp expm1 log log10 log1p log2 sqrt sin sinh cos cosh tan tanh reciprocal": INEXACT,
    "asin asinh acos acosh atan atanh": INEXACT,
    "imag conj": COMPLEX,
    "signbit": FLOATS,
    "isfinite isinf isnan": NUMERIC,
    "bitwise_invert": ["bool", *INTEGERS],
    "logical_not": ["bool"],
    "max min argmax argmin sort argsort": REAL,
    "sum prod cumulative_sum cumulative_prod": NUMERIC,
    "mean var std": FLOATS,
    "all any count_nonzero zeros_like ones_like empty_like": ALL,
    "unique_all unique_counts unique_inverse unique_values": ALL[:5],
    "nonzero": ALL,
    "matrix_transpose flip tril triu squeeze": ALL,
}
BINARY = {
    "add subtract multiply": NUMERIC,
    "divide": INEXACT,
    "pow": ["int64", *FLOATS],
    "floor_divide remainder maximum minimum": REAL,
    "equal not_equal": ALL,
    "less less_equal greater greater_equal": REAL,
    "atan2 hypot copysign nextafter logaddexp": FLOATS,
    "bitwise_and bitwise_or bitwise_xor": ["bool", *INTEGERS],
    "bitwise_left_shift bitwise_right_shift": INTEGERS,
    "logical_and logical_or logical_xor": ["bool"],
    "vecdot tensordot": NUMERIC,
}


def _unary(name):
    if name == "squeeze":
        return lambda xp, a, b: xp.squeeze(a[:1, ...], axis=0)
    if name.startswith("cumulative"):
        return lambda xp, a, b: getattr(xp, name)(a, axis=1)
    if name in ("argmax", "argmin", "sort", "argsort"):
        return lambda xp, a, b: getattr(xp, name)(a, axis=0)
    if name == "empty_like":
        return lambda xp, a, b: xp.zeros_like(xp.empty_like(a))
    if name == "nonzero":
        return lambda xp, a, b: xp.stack(xp.nonzero(a))
    return lambda xp, a, b: getattr(xp, name)(a)


def _binary(name):
    if name == "tensordot":
        return lambda xp, a, b: xp.tensordot(a, b, axes=((1,), (1,)))
    return lambda xp, a, b: getattr(xp, name)(a, b)


SQUARE = "cholesky det eigh eigvalsh inv matrix_rank pinv qr slogdet svdvals".split()


def _square(xp, a):
    return a[:, :3] @ xp.matrix_transpose(a[:, :3]) + xp.eye(3, dtype=a.dtype)


MORE = {
    "arange": lambda xp, a, b: xp.arange(2, 9, 3),
    "arange of floats": lambda xp, a, b: xp.arange(0.5, 2.0, 0.25, dtype=xp.float32),
    "asarray": lambda xp, a, b: xp.asarray([[1.0, 2.0], [3.0, 4.0]]),
    "asarray of a list of ints": lambda xp, a, b: xp.asarray([1, 2, 3], dtype=xp.int8),
    "asarray of an array": lambda xp, a, b: xp.asarray(a, dtype=xp.float32),
    "asarray copies": lambda xp, a, b: xp.asarray(a, copy=True),
    "astype": lambda xp, a, b: xp.astype(a, xp.float32),
    "astype of floats to integers": lambda xp, a, b: xp.astype(a * 10, xp.int64),
    "broadcast_arrays": lambda xp, a, b: xp.broadcast_arrays(a[0, :], b),
    "broadcast_to": lambda xp, a, b: xp.broadcast_to(a[0, :], (5, 4)),
    "can_cast": lambda xp, a, b: xp.can_cast(a, xp.float64),
    "clip": lambda xp, a, b: xp.clip(a, 0.3, 0.6),
    "clip below": lambda xp, a, b: xp.clip(a, min=0.3),
    "clip by arrays": lambda xp, a, b: xp.clip(a, min=b - 0.2, max=b),
    "concat": lambda xp, a, b: xp.concat([a, b], axis=1),
    "concat flat": lambda xp, a, b: xp.concat([a, b], axis=None),
    "count_nonzero along": lambda xp, a, b: xp.count_nonzero(a > 0.5, axis=0, keepdims=True),
    "cumulative_sum with the first": lambda xp, a, b: xp.cumulative_sum(a, axis=0, include_initial=True),
    "cumulative_prod with the first": lambda xp, a, b: xp.cumulative_prod(a, axis=0, include_initial=True),
    "diff": lambda xp, a, b: xp.diff(a, axis=0),
    "diff twice": lambda xp, a, b: xp.diff(a, axis=1, n=2, prepend=b[:, :1]),
    "expand_dims": lambda xp, a, b: xp.expand_dims(a, axis=-1),
    "expand_dims of two": lambda xp, a, b: xp.expand_dims(a, axis=(0, 2)),
    "eye": lambda xp, a, b: xp.eye(2, 3, k=1),
    "finfo": lambda xp, a, b: xp.finfo(a.dtype).eps,
    "flip of one": lambda xp, a, b: xp.flip(a, axis=1),
    "from_dlpack": lambda xp, a, b: xp.from_dlpack(xp.asarray([1.0, 2.0])),
    "full": lambda xp, a, b: xp.full((2, 3), 0.5),
    "full_like": lambda xp, a, b: xp.full_like(a, 2.0),
    "iinfo": lambda xp, a, b: xp.iinfo(xp.int8).max,
    "isdtype": lambda xp, a, b: xp.isdtype(a.dtype, ("real floating", xp.int8)),
    "isin": lambda xp, a, b: xp.isin(xp.astype(a * 13, xp.int64), xp.asarray([1, 5])),
    "linspace": lambda xp, a, b: xp.linspace(0.0, 1.0, 5, endpoint=False),
    "matmul": lambda xp, a, b: xp.matmul(a, xp.matrix_transpose(b)),
    "mean along": lambda xp, a, b: xp.mean(a, axis=(0, 1), keepdims=True),
    "meshgrid": lambda xp, a, b: xp.meshgrid(a[0, :], b[:, 0], indexing="ij"),
    "moveaxis": lambda xp, a, b: xp.moveaxis(a, 0, -1),
    "ones and zeros": lambda xp, a, b: xp.ones((2, 2)) + xp.zeros((2, 1), dtype=xp.float32),
    "permute_dims": lambda xp, a, b: xp.permute_dims(a, (1, 0)),
    "repeat": lambda xp, a, b: xp.repeat(a, 2, axis=1),
    "repeat by an array": lambda xp, a, b: xp.repeat(a, xp.asarray([2, 0, 1]), axis=0),
    "reshape": lambda xp, a, b: xp.reshape(a, (-1, 2)),
    "result_type": lambda xp, a, b: xp.zeros((1,), dtype=xp.result_type(a, xp.float32, 1)),
    "roll": lambda xp, a, b: xp.roll(a, (1, -1), axis=(0, 1)),
    "searchsorted": lambda xp, a, b: xp.searchsorted(xp.sort(a[0, :]), b[0, :], side="right"),
    "sort descending": lambda xp, a, b: xp.sort(a, axis=0, descending=True),
    "argsort descending": lambda xp, a, b: xp.argsort(a, axis=1, descending=True, stable=True),
    "stack": lambda xp, a, b: xp.stack([a, b], axis=-1),
    "std": lambda xp, a, b: xp.std(a, axis=0, correction=1),
    "sum to a dtype": lambda xp, a, b: xp.sum(xp.astype(a, xp.float32), dtype=xp.float64),
    "take": lambda xp, a, b: xp.take(a, xp.asarray([2, 0]), axis=0),
    "take_along_axis": lambda xp, a, b: xp.take_along_axis(a, xp.argsort(b, axis=1), axis=1),
    "tile": lambda xp, a, b: xp.tile(a, (2, 1)),
    "unstack": lambda xp, a, b: xp.unstack(a, axis=1),
    "var": lambda xp, a, b: xp.var(a, axis=1, correction=1.0, keepdims=True),
    "where": lambda xp, a, b: xp.where(a > b, a, b),
    "where of a scalar": lambda xp, a, b: xp.where(a > b, a, 0.0),
    "operators": lambda xp, a, b: (a**2 + 1) / (a - 2) * -b @ xp.matrix_transpose(a) % 3 // 0.5,
    "shifts": lambda xp, a, b: (xp.astype(a * 13, xp.int64) << 2) >> xp.asarray(1),
    "reflected": lambda xp, a, b: 2 - a / (1 + a) + 3**a,
    "comparisons": lambda xp, a, b: (a > b) & ~(a == b) | (a <= 0.5) ^ (b != 2),
    "index by a mask": lambda xp, a, b: a[a > 0.5],
    "index by integers": lambda xp, a, b: a[xp.asarray([0, 2]), xp.asarray([1, 3])],
    "index": lambda xp, a, b: a[..., None, 1:3],
    "int()": lambda xp, a, b: xp.asarray([int(xp.argmax(a)), int(xp.count_nonzero(a > 0.5))]),
    "T and mT": lambda xp, a, b: a.T @ b + a.mT @ b,
    "constants": lambda xp, a, b: xp.asarray([xp.pi, xp.e, xp.inf]),
    **{
        f"linalg.{name}": lambda xp, a, b, name=name: getattr(xp.linalg, name)(_square(xp, a))
        for name in SQUARE
    },
    "linalg.pinv of a tolerance": lambda xp, a, b: xp.linalg.pinv(a, rtol=1e-12),
    "linalg.cholesky upper": lambda xp, a, b: xp.linalg.cholesky(_square(xp, a), upper=True),
    "linalg.cross": lambda xp, a, b: xp.linalg.cross(a[:, :3], b[:, :3], axis=-1),
    "linalg.diagonal": lambda xp, a, b: xp.linalg.diagonal(a, offset=1),
    "linalg.matrix_norm": lambda xp, a, b: xp.linalg.matrix_norm(a, ord="fro"),
    "linalg.matrix_power": lambda xp, a, b: xp.linalg.matrix_power(_square(xp, a), 3),
    "linalg.outer": lambda xp, a, b: xp.linalg.outer(a[0, :], b[0, :]),
    "linalg.solve": lambda xp, a, b: xp.linalg.solve(_square(xp, a), b),
    "linalg.svd": lambda xp, a, b: xp.linalg.svd(a, full_matrices=False)[1],
    "linalg.trace": lambda xp, a, b: xp.linalg.trace(a, offset=1),
    "linalg.vecdot": lambda xp, a, b: xp.linalg.vecdot(a, b, axis=-1),
    "linalg.vector_norm": lambda xp, a, b: xp.linalg.vector_norm(a, axis=0, keepdims=True, ord=3),
    "linalg.tensordot": lambda xp, a, b: xp.linalg.tensordot(a, b, axes=2),
    "linalg.matmul": lambda xp, a, b: xp.linalg.matmul(a, xp.linalg.matrix_transpose(b)),
    "linalg.eig": lambda xp, a, b: xp.sum(xp.linalg.eig(_square(xp, a))[0]),
    "linalg.eigvals": lambda xp, a, b: xp.sum(xp.linalg.eigvals(_square(xp, a))),
    "fft.fft": lambda xp, a, b: xp.fft.fft(xp.astype(a, xp.complex128), axis=0),
    "fft.ifft": lambda xp, a, b: xp.fft.ifft(xp.astype(a, xp.complex128), n=3),
    "fft.fftn": lambda xp, a, b: xp.fft.fftn(xp.astype(a, xp.complex128)),
    "fft.ifftn": lambda xp, a, b: xp.fft.ifftn(xp.astype(a, xp.complex128)),
    "fft.rfft": lambda xp, a, b: xp.fft.rfft(a),
    "fft.irfft": lambda xp, a, b: xp.fft.irfft(xp.fft.rfft(a)),
    "fft.rfftn": lambda xp, a, b: xp.fft.rfftn(a),
    "fft.irfftn": lambda xp, a, b: xp.fft.irfftn(xp.fft.rfftn(a)),
    "fft.hfft": lambda xp, a, b: xp.fft.hfft(xp.astype(a, xp.complex128)),
    "fft.ihfft": lambda xp, a, b: xp.fft.ihfft(a),
    "fft.fftfreq": lambda xp, a, b: xp.fft.fftfreq(5, d=0.5),
    "fft.rfftfreq": lambda xp, a, b: xp.fft.rfftfreq(5),
    "fft.fftshift": lambda xp, a, b: xp.fft.fftshift(a),
    "fft.ifftshift": lambda xp, a, b: xp.fft.ifftshift(a, axes=1),
}


def _each(table, call):
    return {(n, dtype): call(n) for names, dtypes in table.items() for n in names.split() for dtype in dtypes}


CALLS = _each(UNARY, _unary) | _each(BINARY, _binary) | {(name, "float64"): call for name, call in MORE.items()}
CALLS["acosh", "float32"] = CALLS["acosh", "float64"] = lambda xp, a, b: xp.acosh(a + 1)
