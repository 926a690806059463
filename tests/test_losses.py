"""xg.losses: values, gradients, stability, weights and what is refused."""

from inspect import getdoc

import numpy as np
import pytest
import scipy.special
import scipy.stats

import xpgrad as xg
from xpgrad import DataError, DTypeError, ShapeError, losses
from xpgrad.testing import check_grads, close, tolerance

F64, F32 = np.dtype(np.float64), np.dtype(np.float32)
BOUND = tolerance(F64).value
RNG = np.random.default_rng(0)
Z = RNG.normal(size=(3, 4))
REAL = RNG.normal(size=(3, 4)) + 0.1
SHARE = RNG.uniform(0.05, 0.95, size=(3, 4))
SIGN = np.array([[1, -1, 1, 1], [-1, -1, 1, -1], [1, 1, -1, 1]])
CLASSES = np.array([2, 0, 1, 2])
P = SHARE / SHARE.sum(axis=0)
D = Z - REAL
LOG_Q = Z - np.log(np.exp(Z).sum(axis=0))

# The loss, labels, keywords, and the losses one by one.
LOSSES = {
    "binary_cross_entropy": (SHARE, {}, np.log1p(np.exp(Z)) - SHARE * Z),
    "hinge": (SIGN, {}, np.maximum(0, 1 - SIGN * Z)),
    "squared_hinge": (SIGN, {}, np.maximum(0, 1 - SIGN * Z) ** 2),
    "mean_squared_error": (REAL, {}, D**2),
    "mean_absolute_error": (REAL, {}, np.abs(D)),
    "huber": (REAL, {"delta": 0.7}, scipy.special.huber(0.7, D)),
    "log_cosh": (REAL, {}, np.log(np.cosh(D))),
    "quantile": (REAL, {"q": 0.2}, np.maximum(-0.2 * D, 0.8 * D)),
    "poisson_nll": (np.abs(SIGN) + 1, {}, np.exp(Z) - 2 * Z),
    "gamma_nll": (SHARE, {}, SHARE * np.exp(-Z) + Z),
    "normal_nll": (REAL, {"log_scale": np.full(4, 0.3)}, -scipy.stats.norm.logpdf(REAL, Z, np.exp(0.3))),
    "cross_entropy": (P, {"axis": 0}, -(P * LOG_Q).sum(axis=0)),
    "cross_entropy of classes": (CLASSES, {"axis": 0}, -LOG_Q[CLASSES, np.arange(4)]),
    "kl_divergence": (P, {"axis": 0}, (P * (np.log(P) - LOG_Q)).sum(axis=0)),
}
PER_ENTRY = [
    n for n, (labels, *_) in LOSSES.items() if np.shape(labels) == (3, 4) and "axis" not in LOSSES[n][1]
]


def loss(name):
    return getattr(losses, name.split()[0])


def test_every_loss_is_tested():
    assert {name.split()[0] for name in LOSSES} == set(losses.__all__)


# ── what they are ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_its_formula(name, put):
    labels, keywords, each = LOSSES[name]
    z, y, keywords = put(Z), put(labels), {k: put(v) for k, v in keywords.items()}
    assert close(xg.asnumpy(loss(name)(z, y, **keywords)), each.mean(), BOUND)
    assert close(xg.asnumpy(loss(name)(z, y, reduction="sum", **keywords)), each.sum(), BOUND)
    assert close(xg.asnumpy(loss(name)(z, y, reduction="none", **keywords)), each, BOUND)


@pytest.mark.parametrize("name", LOSSES)
def test_lists_are_arrays(name):
    labels, keywords, each = LOSSES[name]
    assert close(loss(name)(Z.tolist(), labels.tolist(), **keywords), each.mean(), BOUND)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_derivatives_of_a_loss_agree_with_differences(name, reduction, put):
    labels, keywords, _ = LOSSES[name]
    labels, keywords = put(labels), {k: put(v) for k, v in keywords.items()}
    check_grads(lambda z: loss(name)(z, labels, reduction=reduction, **keywords), [put(Z)])


@pytest.mark.parametrize("name", [n for n, (labels, *_) in LOSSES.items() if labels.dtype.kind == "f"])
def test_labels_can_be_differentiated_too(name):
    labels, keywords, _ = LOSSES[name]
    check_grads(lambda y: loss(name)(Z, y, **keywords), [labels])


def test_the_scale_of_the_normal_can_be_differentiated():
    check_grads(lambda s: losses.normal_nll(Z, REAL, log_scale=s), [np.array([0.1, -0.3, 0.2, 0.5])])


@pytest.mark.parametrize("name", LOSSES)
def test_every_backend_gives_the_same_gradient(backend, name):
    labels, keywords, each = LOSSES[name]
    labels, keywords = backend.put(labels), {k: backend.put(v) for k, v in keywords.items()}

    def f(z):
        return loss(name)(z, labels, **keywords)

    host = LOSSES[name]
    expected = xg.grad(lambda z: loss(name)(z, host[0], **host[1]))(Z)
    assert close(backend.run(f, Z), each.mean(), BOUND)
    assert close(backend.pull(f, np.float64(1.0), Z)[0], expected, BOUND)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_stays_float32_with_integer_labels_and_weights(name):
    labels, keywords, _ = LOSSES[name]
    labels = labels.astype(np.float32) if labels.dtype.kind == "f" else labels
    keywords = {k: v.astype(np.float32) if k == "log_scale" else v for k, v in keywords.items()}
    for weights in (None, np.array([1, 2, 0, 1])):
        value, g = xg.value_and_grad(lambda z, w=weights: loss(name)(z, labels, weights=w, **keywords))(
            Z.astype(np.float32)
        )
        assert value.dtype == g.dtype == F32
    for reduction in ("sum", "none"):
        assert loss(name)(Z.astype(np.float32), labels, reduction=reduction, **keywords).dtype == F32


def test_boolean_labels_are_zeros_and_ones():
    z = Z.astype(np.float32)
    out = losses.binary_cross_entropy(z, SIGN > 0)
    assert out.dtype == F32
    assert out == losses.binary_cross_entropy(z, (SIGN > 0).astype(np.float32))


def test_the_gradient_of_logistic_regression_is_the_notes():
    X, Y = RNG.normal(size=(5, 30)), (RNG.uniform(size=(1, 30)) < 0.5).astype(float)
    W, b = RNG.normal(size=(5, 1)), 0.3
    dW, db = xg.grad(lambda p: losses.binary_cross_entropy(np.dot(p[0].T, X) + p[1], Y))((W, b))
    dz = 1 / (1 + np.exp(-(np.dot(W.T, X) + b))) - Y
    assert close(dW, np.dot(X, dz.T) / 30, BOUND)
    assert close(db, dz.sum() / 30, BOUND)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_classes_may_stand_on_any_axis(axis):
    z = RNG.normal(size=(2, 3, 4))
    k = z.shape[axis]
    rest = np.moveaxis(z, axis, -1)
    labels = RNG.integers(k, size=rest.shape[:-1])
    log_q = scipy.special.log_softmax(rest, axis=-1)
    expected = -np.take_along_axis(log_q, labels[..., None], -1)[..., 0]
    assert close(losses.cross_entropy(z, labels, axis=axis, reduction="none"), expected, BOUND)
    onehot = xg.nn.one_hot(labels, k, axis=axis)
    assert close(losses.cross_entropy(z, onehot, axis=axis, reduction="none"), expected, BOUND)
    check_grads(lambda z: losses.cross_entropy(z, labels, axis=axis), [z])


def test_one_sample_may_stand_alone():
    assert losses.cross_entropy(Z[:, 0], 1, axis=0) == pytest.approx(-LOG_Q[1, 0])
    assert losses.binary_cross_entropy(0.0, True) == pytest.approx(np.log(2))


# ── weights ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", LOSSES)
def test_weights_of_samples_give_the_weighted_mean(name, put):
    labels, keywords, each = LOSSES[name]
    w = np.array([0.5, 2.0, 0.0, 1.0])
    args, keywords = put((Z, labels)), {k: put(v) for k, v in {**keywords, "weights": w}.items()}
    wide = np.broadcast_to(w, each.shape)
    assert close(xg.asnumpy(loss(name)(*args, **keywords)), np.average(each, weights=wide), BOUND)
    assert close(xg.asnumpy(loss(name)(*args, reduction="sum", **keywords)), (wide * each).sum(), BOUND)
    assert close(xg.asnumpy(loss(name)(*args, reduction="none", **keywords)), wide * each, BOUND)


def test_equal_weights_of_any_shape_change_nothing():
    plain = losses.mean_squared_error(Z, REAL)
    for w in (3.0, np.full((3, 1), 3.0), np.full((3, 4), 3)):
        assert losses.mean_squared_error(Z, REAL, weights=w) == pytest.approx(plain, rel=BOUND)


@pytest.mark.parametrize(
    ("w", "says"),
    [
        ([1, -1, 1, 1], r"0 or more, got -1 at \[1\]"),
        ([0, 0, 0, 0], "not all be 0"),
        ([1, 1, np.nan, -1], r"0 or more, got nan at \[2\], and 1 other"),
    ],
)
@pytest.mark.parametrize("name", LOSSES)
def test_weights_that_are_no_weights_are_refused(name, w, says):
    labels, keywords, _ = LOSSES[name]
    with pytest.raises(
        DataError, match=f"{name.split()[0]}: weights must {says}".replace("must 0", "must be 0")
    ):
        loss(name)(Z, labels, weights=w, **keywords)


@pytest.mark.parametrize("name", LOSSES)
def test_weights_of_the_wrong_shape_are_refused(name):
    labels, keywords, _ = LOSSES[name]
    with pytest.raises(ShapeError, match="weights do not broadcast to the shape of the losses"):
        loss(name)(Z, labels, weights=np.ones(5), **keywords)
    with pytest.raises(ShapeError, match="weights do not broadcast to the shape of the losses"):
        loss(name)(Z, labels, weights=np.ones((2, 3, 4)), **keywords)


# ── extreme inputs ───────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize(
    ("name", "z", "y", "each", "slope"),
    [
        ("binary_cross_entropy", [1e4, -1e4, 1e4, -1e4], [1, 0, 0, 1], [0, 0, 1e4, 1e4], [0, 0, 1, -1]),
        ("log_cosh", [1e4, -1e4], [0, 0], [1e4 - np.log(2), 1e4 - np.log(2)], [1, -1]),
        ("huber", [1e30, -1e30], [0, 0], [1e30, 1e30], [1, -1]),
        ("hinge", [1e30, -1e30], [1, 1], [0, 1e30], [0, -1]),
        ("mean_absolute_error", [1e30, -1e30, 0], [0, 0, 0], [1e30, 1e30, 0], [1, -1, 0]),
        ("poisson_nll", [-1e4, 0], [1, 0], [1e4, 1], [-1, 1]),
        ("gamma_nll", [1e4, 0], [1, 1], [1e4, 1], [1, 0]),
    ],
)
def test_a_loss_and_its_slope_are_finite_and_right_far_out(name, z, y, each, slope, dtype):
    z, y = np.array(z, dtype), np.array(y, dtype)
    out, pullback = xg.vjp(lambda z: loss(name)(z, y, reduction="none"), z)
    assert close(out, np.array(each), tolerance(dtype).value)
    assert close(pullback(np.ones_like(z))[0], np.array(slope), tolerance(dtype).value)


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
def test_cross_entropy_is_right_at_ten_thousand(dtype):
    z = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, 1e4]], dtype)
    labels = np.array([0, 0])
    value, g = xg.value_and_grad(lambda z: losses.cross_entropy(z, labels, axis=0, reduction="sum"))(z)
    assert close(value, 2e4 + 2 * np.log(2), tolerance(dtype).value)
    assert close(g, [[-0.5, -1], [0, 0.5], [0.5, 0.5]], tolerance(dtype).value)
    onehot = xg.nn.one_hot(labels, 3, axis=0, dtype=dtype)
    again, h = xg.value_and_grad(lambda z: losses.cross_entropy(z, onehot, axis=0, reduction="sum"))(z)
    assert close(again, value, tolerance(dtype).value)
    assert close(h, g, tolerance(dtype).value)


def test_a_forbidden_class_that_does_not_occur_counts_nothing():
    z = np.array([[0.3, -np.inf, 1.0]])
    p = np.array([[0.25, 0.0, 0.75]])
    for name in ("cross_entropy", "kl_divergence"):
        value, g = xg.value_and_grad(lambda z, name=name: loss(name)(z, p, axis=1))(z)
        free, h = xg.value_and_grad(lambda z, name=name: loss(name)(z, p[:, ::2], axis=1))(z[:, ::2])
        assert value == pytest.approx(free, rel=BOUND)
        assert close(g, np.insert(h, 1, 0, axis=1), BOUND)
    assert losses.cross_entropy(z, np.array([1]), axis=1) == np.inf


# ── what is refused ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", LOSSES)
def test_an_empty_batch_is_a_data_error(name):
    labels, keywords, _ = LOSSES[name]
    keywords = {k: v for k, v in keywords.items() if k != "log_scale"}
    with pytest.raises(DataError, match=f"{name.split()[0]}: the batch is empty"):
        loss(name)(Z[:, :0], labels[..., :0], **keywords)


@pytest.mark.parametrize(
    ("name", "labels", "says"),
    [
        (
            "binary_cross_entropy",
            SHARE + 1,
            r"labels must be in \[0, 1\], got 1\.\d+ at \[0, 0\], and 11 others",
        ),
        (
            "binary_cross_entropy",
            SHARE * np.nan,
            r"labels must be in \[0, 1\], got nan at \[0, 0\], and 11 others",
        ),
        ("binary_cross_entropy", SIGN, r"labels must be in \[0, 1\], got -1 at \[0, 1\], and 4 others"),
        ("cross_entropy", P - 0.5, r"labels must be in \[0, 1\]"),
        (
            "cross_entropy of classes",
            CLASSES + 1,
            r"labels must be classes 0 \.\.\. 2, got 3 at \[0\], and 1 other",
        ),
        ("cross_entropy of classes", CLASSES - 1, r"labels must be classes 0 \.\.\. 2, got -1 at \[1\]"),
        ("kl_divergence", P + 1, r"labels must be in \[0, 1\]"),
        ("kl_divergence", P * 0.9, r"labels must sum to 1 along axis 0, got 0\.9 at \[0, 0\], and 3 others"),
        ("hinge", SHARE, "labels must be -1 or 1"),
        ("squared_hinge", SIGN > 0, "labels must be -1 or 1"),
        ("poisson_nll", SIGN, r"labels must be 0 or more, got -1 at \[0, 1\], and 4 others"),
        ("gamma_nll", np.zeros((3, 4)), r"labels must be greater than 0, got 0 at \[0, 0\], and 11 others"),
    ],
)
def test_labels_outside_their_range_are_a_data_error(name, labels, says, put):
    keywords = LOSSES[name][1]
    with pytest.raises(DataError, match=f"{name.split()[0]}: {says}"):
        loss(name)(put(Z), put(labels), **keywords)
    with pytest.raises(DataError, match=rf"{says}(.|\n)*at test_losses\.py"):
        xg.grad(lambda z: loss(name)(z, put(labels), **keywords))(put(Z))


@pytest.mark.parametrize("name", PER_ENTRY)
def test_labels_of_the_wrong_shape_are_a_shape_error(name):
    keywords = LOSSES[name][1]
    for wrong in (np.ones((3, 5)), np.ones((2, 3, 4))):
        with pytest.raises(ShapeError, match=f"{name}: labels do not broadcast to the shape of the"):
            loss(name)(Z, wrong, **keywords)
    with pytest.raises(ShapeError, match=f"{name}: labels do not broadcast"):
        loss(name)(Z[0], np.ones((4, 1)))


@pytest.mark.parametrize("name", ["cross_entropy", "kl_divergence"])
def test_labels_that_fit_no_axis_are_a_shape_error(name):
    with pytest.raises(ShapeError, match=rf"{name}: labels need the shape .*\(3, 4\)"):
        loss(name)(Z, P[:2], axis=0)
    with pytest.raises(ShapeError, match=f"{name}: axis 2 does not fit an array of 2 axes"):
        loss(name)(Z, P, axis=2)


def test_classes_that_are_no_integers_are_a_dtype_error():
    with pytest.raises(DTypeError, match="cross_entropy: classes must be integers"):
        losses.cross_entropy(Z, CLASSES.astype(float), axis=0)


def test_classes_are_no_distribution():
    with pytest.raises(ShapeError, match=r"kl_divergence: labels need the shape \(3, 4\)"):
        losses.kl_divergence(Z, CLASSES, axis=0)


@pytest.mark.parametrize("name", LOSSES)
def test_an_unknown_reduction_is_refused(name):
    labels, keywords, _ = LOSSES[name]
    with pytest.raises(ValueError, match='reduction must be "mean", "sum" or "none", not \'avg\''):
        loss(name)(Z, labels, reduction="avg", **keywords)


def test_parameters_out_of_range_are_refused():
    with pytest.raises(ValueError, match="huber: delta must be positive, not 0"):
        losses.huber(Z, REAL, delta=0)
    for q in (0, 1, np.nan):
        with pytest.raises(ValueError, match=r"quantile: q must be in \(0, 1\)"):
            losses.quantile(Z, REAL, q=q)


@pytest.mark.parametrize("name", losses.__all__)
def test_every_loss_documents_result_and_source(name):
    doc = getdoc(getattr(losses, name))
    assert "Notes\n-----" in doc
    assert "Returns\n-------" in doc or "Parameters, result" in doc
