"""Lists of traced numbers where NumPy makes an array of them, each beside the same function with `np.stack`.

A form is ``name: (function, the same, length of its argument)``. The arguments are positive.
"""

import numpy as np

import xpgrad as xg

A = np.array([[0.5, -1.0], [2.0, 0.25]])
B = np.array([[0.5, -1.0, 0.2], [2.0, 0.25, -0.7]])


def pair(x):
    return np.stack([x[0], x[1] * x[2]])


def square(a, b, c, d):
    return np.stack([np.stack([a, b]), np.stack([c, d])])


def _written(x):
    out = np.array([x[0], x[1], x[2]])
    out[0] = out[1] * x[0]
    out[1:] += x[:2]
    out[2:] = x[3:]
    return out


def _filled(x):
    out = np.zeros(3, object)
    for i in range(3):
        out[i] = x[i] ** (i + 1)
    return out


def _with_jitter(x):
    K = np.array([[x[0], x[1]], [x[1], x[2]]])
    K[np.diag_indices_from(K)] += x[0]
    return K


def _runge_kutta(x, array):
    def slope(y):
        return array([x[0] * y[0] - x[1] * y[0] * y[1], x[2] * y[0] * y[1] - y[1]])

    y, h = np.array([1.0, 0.5]), 0.1
    for _ in range(3):
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


def _rotated(x, array):
    c, s = np.cos(x[0]), np.sin(x[0])
    return array([[c, -s], [s, c]]) @ B @ x[1:4]


FORMS = {
    "array": (lambda x: np.array([x[0], x[1] * x[2]]), pair, 3),
    "asarray": (lambda x: np.asarray([x[0], x[1] * x[2]]), pair, 3),
    "array of a tuple": (lambda x: np.array((x[0], x[1] * x[2])), pair, 3),
    "array with a number": (lambda x: np.array([x[0], 1.5, x[1]]), lambda x: np.stack([x[0], 1.5, x[1]]), 2),
    "array with an integer": (lambda x: np.array([2, x[0]]), lambda x: np.stack([2, x[0]]), 1),
    "array of rows": (lambda x: np.array([x, x[::-1] ** 2]), lambda x: np.stack([x, x[::-1] ** 2]), 3),
    "array of a row and numbers": (
        lambda x: np.array([x, [1, 2]]),
        lambda x: np.stack([x, np.array([1.0, 2])]),
        2,
    ),
    "array of one": (lambda x: np.asarray(x) * 2, lambda x: x * 2, 3),
    "array of an entry": (lambda x: np.array(x[1]) * 3, lambda x: x[1] * 3, 2),
    "matrix": (
        lambda x: np.array([[x[0], x[1]], [x[1], x[2]]]),
        lambda x: square(x[0], x[1], x[1], x[2]),
        3,
    ),
    "matrix with numbers": (
        lambda x: np.array([[1, x[0]], [0, x[1]]]),
        lambda x: square(1, x[0], 0, x[1]),
        2,
    ),
    "matrix times a vector": (
        lambda x: np.array([[x[0], x[1]], [x[1], x[2]]]) @ x[:2],
        lambda x: square(x[0], x[1], x[1], x[2]) @ x[:2],
        3,
    ),
    "a traced matrix times a list": (
        lambda x: np.reshape(x, (2, 2)) @ [x[0], x[1]],
        lambda x: np.reshape(x, (2, 2)) @ x[:2],
        4,
    ),
    "a matrix times a list": (lambda x: A @ [x[0], x[1] * x[2]], lambda x: A @ pair(x), 3),
    "a list times a matrix": (lambda x: [x[0], x[1] * x[2]] @ A, lambda x: pair(x) @ A, 3),
    "plus a list": (lambda x: x[:2] + [x[0], x[1] * x[2]], lambda x: x[:2] + pair(x), 3),
    "a list plus": (lambda x: [x[0], x[1] * x[2]] + x[:2], lambda x: pair(x) + x[:2], 3),
    "plus an array of objects": (
        lambda x: x[:2] * np.array([x[0], x[1] * x[2]]),
        lambda x: x[:2] * pair(x),
        3,
    ),
    "an array of objects plus": (
        lambda x: np.array([x[0], x[1] * x[2]]) / x[:2],
        lambda x: pair(x) / x[:2],
        3,
    ),
    "arithmetic": (
        lambda x: 2 / np.array([x[0], x[1] * x[2]]) - np.array([x[2], x[2]]) ** 2,
        lambda x: 2 / pair(x) - np.stack([x[2], x[2]]) ** 2,
        3,
    ),
    "arithmetic with an array": (
        lambda x: np.array([x[0], x[1] * x[2]]) * A + A,
        lambda x: pair(x) * A + A,
        3,
    ),
    "a function": (lambda x: np.exp(np.array([x[0], x[1] * x[2]])), lambda x: np.exp(pair(x)), 3),
    "a function of a list": (lambda x: np.log([x[0], x[1] * x[2]]), lambda x: np.log(pair(x)), 3),
    "several functions": (
        lambda x: sum(
            f(np.array([x[0], x[1]])) for f in (np.sin, np.cos, np.tanh, np.sqrt, np.log1p, np.square)
        ),
        lambda x: sum(f(x[:2]) for f in (np.sin, np.cos, np.tanh, np.sqrt, np.log1p, np.square)),
        2,
    ),
    "arctan2": (
        lambda x: np.arctan2(np.array([x[0], x[1]]), np.array([x[1], 2.0])),
        lambda x: np.arctan2(x[:2], np.stack([x[1], 2.0])),
        2,
    ),
    "a special function": (
        lambda x: xg.special.gammaln(np.array([x[0], x[1] * x[2]])),
        lambda x: xg.special.gammaln(pair(x)),
        3,
    ),
    "sum": (lambda x: np.sum([x[0], x[1] * x[2]]), lambda x: np.sum(pair(x)), 3),
    "sum of an array of objects": (lambda x: np.array([x[0], x[1] * x[2]]).sum(), lambda x: np.sum(pair(x)), 3),
    "sum over an axis": (lambda x: np.sum([x, 2 * x], axis=0), lambda x: 3 * x, 3),
    "prod": (lambda x: np.prod([x[0], x[1], x[2]]), lambda x: x[0] * x[1] * x[2], 3),
    "cumsum": (lambda x: np.cumsum([x[0], x[1] * x[2]]), lambda x: np.cumsum(pair(x)), 3),
    "dot": (lambda x: np.dot([x[0], x[1] * x[2]], A), lambda x: np.dot(pair(x), A), 3),
    "dot of two lists": (lambda x: np.dot([x[0], x[1]], [x[1], x[2]]), lambda x: np.dot(x[:2], x[1:]), 3),
    "outer": (lambda x: np.outer([x[0], x[1]], [1.0, 2.0]), lambda x: np.outer(x, np.array([1.0, 2.0])), 2),
    "norm": (lambda x: np.linalg.norm([x[0], x[1]]), lambda x: np.linalg.norm(x), 2),
    "solve": (
        lambda x: np.linalg.solve(np.reshape(x, (2, 2)) + 5 * np.eye(2), np.array([x[0], 1.0])),
        lambda x: np.linalg.solve(np.reshape(x, (2, 2)) + 5 * np.eye(2), np.stack([x[0], 1.0])),
        4,
    ),
    "where": (
        lambda x: np.where(np.array([True, False]), np.array([x[0], x[1] * x[2]]), 0.0),
        lambda x: np.where(np.array([True, False]), pair(x), 0.0),
        3,
    ),
    "a transpose": (lambda x: np.array([x, x**2]).T, lambda x: np.stack([x, x**2]).T, 3),
    "axes moved": (
        lambda x: np.array([[x, x**2], [2 * x, x + 1]]).transpose(1, 2, 0),
        lambda x: np.stack([np.stack([x, x**2]), np.stack([2 * x, x + 1])]).transpose(1, 2, 0),
        3,
    ),
    "a transpose beside a traced array": (
        lambda x: x * np.array([x, x**2, x**3]).T,
        lambda x: x * np.stack([x, x**2, x**3]).T,
        3,
    ),
    "transposed": (lambda x: np.array([x, x**2]).T @ A, lambda x: np.stack([x, x**2]).T @ A, 3),
    "columns reversed": (lambda x: np.array([x, x**2])[:, ::-1], lambda x: np.stack([x, x**2])[:, ::-1], 3),
    "a part": (lambda x: np.array([x, x**2])[1, 1:], lambda x: (x**2)[1:], 3),
    "method of a part": (lambda x: np.array([x, x**2])[1].dot(x), lambda x: (x**2) @ x, 3),
    "an argument of a method": (lambda x: x.dot(np.array([x[1], x[0]])), lambda x: 2 * x[0] * x[1], 2),
    "iterated": (lambda x: sum(y * y for y in np.array([x[0], x[1]])), lambda x: np.sum(x**2), 2),
    "written": (
        _written,
        lambda x: np.stack([x[1] * x[0], x[1] + x[0], x[3]]),
        4,
    ),
    "in place by a traced array": (
        lambda x: np.add(np.array([x[0], x[1]]), x, out=np.empty(2, object)),
        lambda x: 2 * x,
        2,
    ),
    "filled": (_filled, lambda x: np.stack([x[0], x[1] ** 2, x[2] ** 3]), 3),
    "r_": (
        lambda x: np.r_[x[0], x[1:] ** 2, 3.0],
        lambda x: np.concatenate([x[:1], x[1:] ** 2, np.array([3.0])]),
        3,
    ),
    "c_": (lambda x: np.c_[x, x**2], lambda x: np.stack([x, x**2], axis=1), 3),
    "concatenate": (
        lambda x: np.concatenate([[x[0]], [1.0], x]),
        lambda x: np.concatenate([x[:1], np.array([1.0]), x]),
        2,
    ),
    "hstack": (lambda x: np.hstack([[x[0], x[1]], [2.0]]), lambda x: np.stack([x[0], x[1], 2.0]), 2),
    "vstack": (lambda x: np.vstack([[x[0], x[1]], [2.0, x[1]]]), lambda x: square(x[0], x[1], 2.0, x[1]), 2),
    "stack of lists": (
        lambda x: np.stack([[x[0], x[1]], [2.0, x[1]]]),
        lambda x: square(x[0], x[1], 2.0, x[1]),
        2,
    ),
    "full": (lambda x: np.full(4, x[0]), lambda x: x[0] * np.ones(4), 1),
    "full with axes": (lambda x: np.full((2, 2), x[0]) * A, lambda x: x[0] * A, 1),
    "diag": (lambda x: np.diag([x[0], x[0], x[1]]), lambda x: np.diag(np.stack([x[0], x[0], x[1]])), 2),
    "vectorize": (lambda x: np.vectorize(lambda a: a * a if a > 0 else a)(x), lambda x: x * x, 3),
    "a rotation": (
        lambda x: _rotated(x, np.array),
        lambda x: _rotated(x, lambda rows: np.stack([np.stack(row) for row in rows])),
        4,
    ),
    "a differential equation": (
        lambda x: _runge_kutta(x, np.array),
        lambda x: _runge_kutta(x, np.stack),
        3,
    ),
    "sign": (lambda x: np.sign(np.array([x[0], x[1]])) * x, lambda x: x, 2),
    "sort": (lambda x: np.sort([x[0] + 2, x[1]]), lambda x: np.stack([x[1], x[0] + 2]), 2),
    "a mask": (
        lambda x: np.where(np.array([x[0], x[1]]) > 5, 0.0, [x[1], x[0]]),
        lambda x: x[::-1] * 1.0,
        2,
    ),
    "clip": (lambda x: np.clip([x[0], x[1] + 9], 0, 5), lambda x: np.stack([x[0], 5.0]), 2),
    "rounded": (lambda x: np.round([x[0], x[1]], 1) + x, lambda x: np.round(x, 1) + x, 2),
    "remainder": (lambda x: np.mod([x[0], x[1]], 0.3), lambda x: np.mod(x, 0.3), 2),
    "cross": (lambda x: np.cross([x[0], x[1], x[2]], [1.0, 2, 3]), lambda x: np.cross(x, [1.0, 2, 3]), 3),
    "einsum": (
        lambda x: np.einsum("i,ij->j", [x[0], x[1]], A),
        lambda x: np.einsum("i,ij->j", x, A),
        2,
    ),
    "diff and trapezoid": (
        lambda x: np.diff([x[0], x[1], x[2]]) * np.trapezoid([x[0], x[1], x[2]]),
        lambda x: np.diff(x) * np.trapezoid(x),
        3,
    ),
    "matrix power": (
        lambda x: np.linalg.matrix_power(np.array([[x[0], x[1]], [x[1], x[2]]]), 3),
        lambda x: np.linalg.matrix_power(square(x[0], x[1], x[1], x[2]), 3),
        3,
    ),
    "diagonal written": (_with_jitter, lambda x: square(2 * x[0], x[1], x[1], x[2] + x[0]), 3),
    "maximum": (lambda x: np.max([x[0], x[1] + 2]), lambda x: x[1] + 2, 2),
}

# What is decided by the numbers, which are not known when shapes alone are traced.
BY_NUMBERS = {"vectorize", "maximum", "sign", "sort", "a mask", "clip"}

# Forms in which NumPy takes no objects: ``name: (function, what the error says)``.
REFUSED = {
    "inv": (lambda x: np.linalg.inv(np.array([[x[0], x[1]], [x[1], 3.0]])), "unsupported in linalg"),
    "inv of lists": (lambda x: np.linalg.inv([[x[0], x[1]], [x[1], 3.0]]), "numpy.linalg"),
    "fft": (lambda x: np.fft.fft([x[0], x[1]]), "numpy.fft"),
    "mean": (lambda x: np.mean([x[0], x[1]]), "np.mean(np.stack"),
    "mean of an array of objects": (lambda x: np.array([x[0], x[1]]).mean(), "np.mean(np.stack"),
    "array with a dtype": (lambda x: np.array([x[0], x[1]], dtype=float), "np.stack"),
    "asarray with a dtype": (lambda x: np.asarray(x, dtype=float), "np.stack"),
    "astype": (lambda x: np.array([x[0], x[1]]).astype(float), "float"),
    "written to a plain array": (lambda x: np.copyto(np.zeros(2), [x[0], x[1]], casting="unsafe"), "float"),
    "a function with a number": (lambda x: np.sin(np.array([x[0], 1.0])), "object_arrays.py"),
    "isnan": (lambda x: np.isnan(np.array([x[0], x[1]])), "object_arrays.py"),
    "imaginary": (lambda x: (1j * np.array([x[0], x[1]])).imag, "complex"),
    "imaginary by a function": (lambda x: np.exp(1j * np.array([x[0], x[1]])).real, "complex"),
    "complex": (lambda x: np.array([x[0] * 1j, x[1] + 2j]).imag, "complex"),
    "too many": (lambda x: np.array(np.concatenate([x] * 501)), "at most 1,000"),
    "too many rows": (
        lambda x: np.array([np.concatenate([x] * 499), np.concatenate([x] * 499) * 2]) * x[0],
        "at most",
    ),
    "cov": (lambda x: np.cov([x, x**2]), "object_arrays.py"),
    "logaddexp": (lambda x: np.logaddexp([x[0], x[1]], 1.0), "object_arrays.py"),
    "floor": (lambda x: np.floor([x[0], x[1]]), "float()"),
    "trunc": (lambda x: np.trunc([x[0], x[1]]), "object_arrays.py"),
    "interp": (lambda x: np.interp(0.5, [0.0, 1.0], [x[0], x[1]]), "np.stack"),
    "an index": (lambda x: A[np.array([x[0], x[1]])], "object_arrays.py"),
}
