"""xg.interpolate against SciPy, its derivatives against finite differences."""

import numpy as np
import pytest
import scipy.interpolate as si

import xpgrad as xg
from xpgrad import DataError, ShapeError
from xpgrad.testing import check_grads

RNG = np.random.default_rng(0)
ENDS = [
    "not-a-knot",
    "clamped",
    "natural",
    "periodic",
    ((1, [0.3, 0.1]), (2, [-0.2, 1.0])),
    ("natural", "not-a-knot"),
    ("not-a-knot", (1, [0.7, 0.2])),
]
KINDS = ["linear", "slinear", "nearest", "nearest-up", "previous", "zero", "next", "cubic"]
V = np.linspace(-1.0, 6.0, 29)


def samples(n, columns=2):
    return np.cumsum(RNG.uniform(0.3, 1.0, n)), RNG.normal(size=(n, columns))


def near(ours, theirs, atol=1e-9):
    assert np.shape(ours) == np.shape(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=atol)


# ── splines ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("n", [2, 3, 4, 5, 9])
@pytest.mark.parametrize("ends", ENDS, ids=str)
def test_a_cubic_spline_is_scipys(n, ends):
    x, y = samples(n)
    if ends == "periodic":
        y[-1] = y[0]
    ours, theirs = xg.interpolate.CubicSpline(x, y, 0, ends), si.CubicSpline(x, y, 0, ends)
    for nu in range(5):
        near(ours(V, nu), theirs(V, nu))
    near(ours.antiderivative()(V, extrapolate=True), theirs.antiderivative()(V, extrapolate=True))
    near(ours.antiderivative(2)(V), theirs.antiderivative(2)(V))
    near(ours.derivative()(V), theirs.derivative()(V))
    near(ours.integrate(-1.3, 7.1), theirs.integrate(-1.3, 7.1))
    near(ours(V, extrapolate=False), theirs(V, extrapolate=False))
    near(ours.c, theirs.c)


def test_axes_and_complex_values_are_scipys():
    x, y = samples(5, 3)
    y = np.stack([y, 1j * y[::-1]])
    ours, theirs = xg.interpolate.CubicSpline(x, y, 1), si.CubicSpline(x, y, 1)
    for v in (V, V.reshape(29, 1), 1.5):
        near(ours(v), theirs(v))
    assert xg.interpolate.CubicSpline(np.arange(3, dtype=np.float32), np.arange(3))(1).dtype == np.float64


@pytest.mark.parametrize("ends", ["not-a-knot", "clamped", "natural", ((1, 0.3), (2, 0.1))], ids=str)
def test_a_spline_has_derivatives_in_knots_values_and_points(ends):
    v = np.array([0.1, 0.8, 1.9, 4.0])
    for n in (2, 3, 5):
        x, y = samples(n)
        check_grads(lambda x, y, v: xg.interpolate.CubicSpline(x, y[:, 0], 0, ends)(v), [x, y, v])
    x, y = samples(5)
    f = xg.compile(lambda x, y, v: xg.interpolate.CubicSpline(x, y[:, 0], 0, ends)(v))
    check_grads(f, [x, y, v], order=1)


def test_a_periodic_spline_has_derivatives():
    for n in (3, 4, 5, 7):
        x, y = samples(n)

        def f(x, y, v):
            return xg.interpolate.CubicSpline(x, np.concatenate([y[:-1], y[:1]]), 0, "periodic")(v)

        check_grads(f, [x, y, np.array([-1.0, 9.0])])


def test_values_at_the_ends_and_integrals_have_derivatives():
    x, y = samples(5)
    check_grads(lambda d: xg.interpolate.CubicSpline(x, y, 0, ((1, d), (2, d)))(2.0), [y[0]])
    check_grads(lambda x, y, a: xg.interpolate.CubicSpline(x, y).integrate(a, 3.0), [x, y, 0.2])
    check_grads(lambda y: xg.interpolate.CubicSpline(x, y)(V, 1), [y])


def test_the_derivative_of_a_spline_in_its_values_is_a_spline():
    """It is linear in them: the entry of a unit vector, by SciPy."""
    x, y = samples(6, 1)
    jacobian = xg.jacobian(lambda y: xg.interpolate.CubicSpline(x, y)(V))(y[:, 0])
    near(jacobian, si.CubicSpline(x, np.eye(6))(V))


@pytest.mark.parametrize("n", [2, 3, 4, 9])
def test_monotone_interpolation_is_scipys(n):
    x, y = samples(n)
    y[:2, 0] = 0.0
    near(xg.interpolate.PchipInterpolator(x, y)(V), si.PchipInterpolator(x, y)(V))
    y = np.cumsum(RNG.uniform(0.5, 1.0, n))
    check_grads(lambda x, y, v: xg.interpolate.PchipInterpolator(x, y)(v), [x, y, np.array([0.7, 2.2])])


def test_flat_pieces_have_no_slope_and_no_nan():
    g = xg.grad(
        lambda y: np.sum(xg.interpolate.PchipInterpolator(np.arange(4.0), y)(np.array([0.5, 1.5, 2.5])))
    )
    assert np.isfinite(g(np.array([1.0, 1.0, 2.0, 2.0]))).all()


def test_values_and_slopes_make_scipys_polynomials():
    x, y = samples(4)
    s = RNG.normal(size=y.shape)
    near(xg.interpolate.CubicHermiteSpline(x, y, s)(V), si.CubicHermiteSpline(x, y, s)(V))
    check_grads(lambda x, y, s: xg.interpolate.CubicHermiteSpline(x, y, s)(2.0), [x, y, s])
    c = RNG.normal(size=(3, 3, 2))
    near(xg.interpolate.PPoly(c, x)(V), si.PPoly(c, x)(V))
    c = np.moveaxis(c, 2, 0)
    near(xg.interpolate.PPoly(c, x, axis=1)(V), si.PPoly(c, x, axis=1)(V))
    near(xg.interpolate.PPoly(c, x, axis=1).integrate(0.1, 3), si.PPoly(c, x, axis=1).integrate(0.1, 3))


def test_a_batch_of_curves_is_interpolated_one_by_one():
    x, y = samples(6, 3)
    near(xg.vmap(lambda y: xg.interpolate.CubicSpline(x, y)(V))(y.T), si.CubicSpline(x, y)(V).T)
    v = RNG.uniform(0, 4, (3, 5))
    near(
        xg.vmap(lambda y, v: xg.interpolate.CubicSpline(x, y)(v))(y.T.copy(), v),
        np.stack([si.CubicSpline(x, a)(b) for a, b in zip(y.T, v, strict=True)]),
    )


# ── lines ────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [2, 4, 7])
def test_samples_on_a_line_are_interpolated_as_by_scipy(kind, n):
    if kind == "cubic" and n < 4:
        n = 5
    x, y = samples(n)
    order = RNG.permutation(n)
    x, y = x[order], y[order].T
    for options in (
        {"fill_value": "extrapolate"},
        {"bounds_error": False},
        {"bounds_error": False, "fill_value": (1.0, 2.0)},
        {"bounds_error": False, "fill_value": 7.0},
        {"bounds_error": False, "fill_value": (np.array([1.0, 2.0]), 2.0)},
    ):
        ours, theirs = xg.interpolate.interp1d(x, y, kind, **options), si.interp1d(x, y, kind, **options)
        near(ours(V), theirs(V))
        near(ours(np.sort(x)), theirs(np.sort(x)))
        near(ours(1.0), theirs(1.0))


@pytest.mark.parametrize("kind", KINDS)
def test_samples_on_a_line_have_derivatives(kind):
    x, y = samples(5)
    v = np.array([x[0] + 0.1, x[2] - 0.1])
    check_grads(lambda x, y, v: xg.interpolate.interp1d(x, y, kind, 0)(v), [x, y, v])
    check_grads(xg.compile(lambda x, y, v: xg.interpolate.interp1d(x, y, kind, 0)(v)), [x, y, v], order=1)


# ── grids ────────────────────────────────────────────────────────────────────────────────────
POINTS = (np.array([0.0, 0.3, 1.0, 2.5]), np.array([3.0, 1.0, 0.5, 0.0, -1.0]), np.array([0.0, 1.0, 2.0, 4.0]))
VALUES = RNG.normal(size=(4, 5, 4, 2))
XI = RNG.uniform(-1.0, 3.0, (3, 20, 3))


@pytest.mark.parametrize("method", ["linear", "slinear", "nearest"])
def test_a_grid_is_interpolated_as_by_scipy(method):
    for fill in (np.nan, None, 3.0):
        near(
            xg.interpolate.interpn(POINTS, VALUES, XI, method, False, fill),
            si.interpn(POINTS, VALUES, XI, method, False, fill),
        )
    ours = xg.interpolate.RegularGridInterpolator(POINTS, VALUES, method)
    theirs = si.RegularGridInterpolator(POINTS, VALUES, method)
    near(ours([1.0, 0.2, 1.5]), theirs([1.0, 0.2, 1.5]))
    mesh = tuple(np.meshgrid([0.1, 2.0], [0.0, 0.5, 2.0], [3.0], indexing="ij"))
    near(ours(mesh), theirs(mesh))
    near(ours([[1.0, 0.2, 1.5]], "nearest"), theirs([[1.0, 0.2, 1.5]], "nearest"))


def test_one_axis_takes_points_as_scipy_does():
    x, y = samples(5, 1)
    ours, theirs = xg.interpolate.RegularGridInterpolator((x,), y), si.RegularGridInterpolator((x,), y)
    for v in ([1.5], [1.5, 1.7], [[1.5], [1.7]]):
        near(ours(v), theirs(v))


def test_a_cubic_grid_is_the_spline_along_each_axis():
    xi = RNG.uniform(0.0, 2.0, (6, 3))
    expected = []
    for a, b, c in xi:
        plane = si.CubicSpline(POINTS[0], VALUES)(a)
        row = si.CubicSpline(POINTS[1][::-1], plane[::-1])(b)
        expected.append(si.CubicSpline(POINTS[2], row)(c))
    near(xg.interpolate.interpn(POINTS, VALUES, xi, "cubic"), np.stack(expected))


@pytest.mark.parametrize("method", ["linear", "nearest", "cubic"])
def test_grids_have_derivatives_in_points_values_and_coordinates(method):
    p, q = np.array([0.0, 1.0, 2.5, 3.0]), np.array([-1.0, 0.5, 1.0, 2.0])
    values, xi = RNG.normal(size=(4, 4)), np.array([[0.4, 0.1], [2.0, 1.7]])

    def f(p, q, values, xi):
        return xg.interpolate.interpn((p, q), values, xi, method)

    check_grads(f, [p, q, values, xi])
    check_grads(xg.compile(f), [p, q, values, xi], order=1)


# ── what is refused ──────────────────────────────────────────────────────────────────────────
def test_what_does_not_fit_is_refused():
    ip = xg.interpolate
    with pytest.raises(DataError, match="the knots must increase, got 0"):
        ip.CubicSpline([0.0, 0.0, 1.0], np.ones(3))
    with pytest.raises(ShapeError, match="a value for each knot along axis 0"):
        ip.CubicSpline(np.arange(3.0), np.ones(4))
    with pytest.raises(ShapeError, match="2 at least"):
        ip.CubicSpline([1.0], [1.0])
    with pytest.raises(DataError, match="the first value must be the last"):
        ip.CubicSpline(np.arange(3.0), np.arange(3.0), bc_type="periodic")
    for ends in ("free", ("natural", "periodic"), ((3, 0.0), (1, 0.0))):
        with pytest.raises(ValueError, match="CubicSpline"):
            ip.CubicSpline(np.arange(3.0), np.arange(3.0), bc_type=ends)
    with pytest.raises(ValueError, match="kind must be one of"):
        ip.interp1d([0.0, 1.0], [0.0, 1.0], "quintic")
    with pytest.raises(ValueError, match="cannot extrapolate and raise"):
        ip.interp1d([0.0, 1.0], [0.0, 1.0], bounds_error=True, fill_value="extrapolate")
    with pytest.raises(ShapeError, match="do not fit axis 1"):
        ip.interpn((np.arange(2.0), np.arange(3.0)), np.ones((2, 2)), [[0.0, 0.0]])
    with pytest.raises(ShapeError, match="1 coordinates, but the grid has 2 axes"):
        ip.interpn((np.arange(2.0), np.arange(2.0)), np.ones((2, 2)), [[0.0]])
    with pytest.raises(ValueError, match="method must be one of"):
        ip.interpn((np.arange(2.0),), np.ones(2), [[0.0]], "splinef2d")


def test_points_outside_are_refused_eager_and_compiled():
    line = xg.interpolate.interp1d([0.0, 1.0], [0.0, 1.0])
    for f in (line, xg.compile(line), xg.grad(line)):
        with pytest.raises(DataError, match="a point is outside the samples"):
            f(1.5)
    with pytest.raises(DataError, match="outside the grid along axis 1, got 7"):
        xg.interpolate.interpn((np.arange(2.0), np.arange(2.0)), np.ones((2, 2)), [[0.0, 7.0]])
