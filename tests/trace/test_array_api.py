"""Code written against the array API standard runs on traced arrays as it does on the strict ones."""

import inspect
from functools import partial

import array_api_strict
import numpy as np
import pytest

import xpgrad as xg
from cases.standard_calls import CALLS, arrays
from xpgrad.core import Op
from xpgrad.testing import close, tolerance
from xpgrad.trace import Symbols, Tape, Traced, strip
from xpgrad.trace.functions import TABLE
from xpgrad.trace.functions.standard import OURS

EXACT = tolerance(np.float64).value
X = np.random.default_rng(0).uniform(0.2, 0.9, size=(3, 4))


def namespace(x):
    return x.__array_namespace__()


UNARY = """
    abs acos acosh asin asinh atan atanh ceil cos cosh exp expm1 floor log log10 log1p log2 negative
    positive real reciprocal round sign sin sinh sqrt square tan tanh trunc
""".split()
PROGRAMS = {name: (lambda x, name=name: getattr(namespace(x), name)(x)) for name in UNARY}
PROGRAMS["acosh"] = lambda x: namespace(x).acosh(x + 1)
PROGRAMS |= {
    "softmax": lambda x: (
        namespace(x).exp(x - namespace(x).max(x, axis=1, keepdims=True))
        / namespace(x).sum(
            namespace(x).exp(x - namespace(x).max(x, axis=1, keepdims=True)), axis=1, keepdims=True
        )
    ),
    "statistics": lambda x: (
        namespace(x).var(x, axis=0, correction=1) + namespace(x).mean(x) + namespace(x).std(x)
    ),
    "concat and stack": lambda x: namespace(x).stack(
        [namespace(x).concat([x, 2 * x], axis=0), namespace(x).ones((6, 4))], axis=-1
    ),
    "permute_dims": lambda x: namespace(x).permute_dims(x, (1, 0)),
    "matmul": lambda x: namespace(x).matmul(x, namespace(x).matrix_transpose(x)),
    "tensordot": lambda x: namespace(x).tensordot(x, x, axes=((0, 1), (0, 1))),
    "vecdot": lambda x: namespace(x).vecdot(x, x),
    "linalg": lambda x: namespace(x).linalg.vector_norm(x) + namespace(x).linalg.trace(x[:, :3]),
    "where": lambda x: namespace(x).where(x > 0.5, x, namespace(x).zeros_like(x)),
    "pow and atan2": lambda x: namespace(x).pow(x, namespace(x).asarray(2.0)) + namespace(x).atan2(x, x + 1),
    "take": lambda x: namespace(x).take(x, namespace(x).asarray([2, 0]), axis=0),
    "sort": lambda x: namespace(x).sort(x, axis=-1),
    "reshape and flip": lambda x: namespace(x).flip(namespace(x).reshape(x, (-1,))),
    "expand_dims and squeeze": lambda x: namespace(x).squeeze(namespace(x).expand_dims(x, axis=0), axis=0),
    "astype": lambda x: namespace(x).astype(x, namespace(x).float32),
    "clip": lambda x: namespace(x).clip(x, 0.3, 0.6),
    "logaddexp": lambda x: namespace(x).logaddexp(x, 2 * x),
    "broadcast_to": lambda x: namespace(x).broadcast_to(x[0, :], (2, 4)),
    "prod and min": lambda x: namespace(x).prod(x, axis=0) - namespace(x).min(x, axis=0),
    "operators": lambda x: (x**2 + 1) / (x - 2) * -x @ x.T,
}
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    PROGRAMS["cumulative_sum"] = lambda x: namespace(x).cumulative_sum(x, axis=1)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_portable_program_gives_the_value_of_the_strict_namespace(name):
    f = PROGRAMS[name]
    expected = np.asarray(f(array_api_strict.asarray(X)))
    out, pullback = xg.vjp(f, X)
    assert out.dtype == expected.dtype
    assert close(out, expected, EXACT)
    assert pullback(np.ones_like(out))[0].shape == X.shape


@pytest.fixture
def strict():
    array_api_strict.set_array_api_strict_flags(api_version="2025.12")
    yield array_api_strict
    array_api_strict.reset_array_api_strict_flags()


def leaves(tree):
    return [y for x in tree for y in leaves(x)] if isinstance(tree, (tuple, list)) else [tree]


def entered(x, tape, xp):
    """Floats as inputs of the trace, integers and truth values as its constants."""
    return tape.enter(x) if x.dtype.kind in "fc" else xp.asarray(x)


ARRAYS = arrays(np.random.default_rng(1))
MINIMAL = tolerance(np.float32).value


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", dict.fromkeys(name for name, _ in CALLS))
def test_a_function_of_the_standard_gives_what_the_strict_one_gives(name, strict):
    if name in array_api_strict.__all__ and name not in OURS and not hasattr(np, name):
        pytest.skip(f"NumPy {np.__version__} has no {name}")
    for (other, dtype), call in CALLS.items():
        if other != name:
            continue
        a, b = ARRAYS[dtype]
        expected = leaves(call(strict, strict.asarray(a), strict.asarray(b)))
        tape = Tape()
        xp = namespace(tape.enter(np.ones(1)))
        found = leaves(call(xp, entered(a, tape, xp), entered(b, tape, xp)))
        for ours, right in zip(found, expected, strict=True):
            if isinstance(right, (bool, int, float)):
                assert ours == right
                continue
            assert type(ours) is Traced
            assert ours.dtype == np.asarray(right).dtype, dtype
            values, right = np.asarray(strip(ours)), np.asarray(right)
            if name == "unique_values":  # the standard leaves their order open, and NumPy makes use of that
                values, right = np.sort(values), np.sort(right)
            if values.dtype.kind in "fc":
                narrow = values.dtype in (np.float32, np.complex64)
                assert close(values, right, MINIMAL if narrow else EXACT), dtype
            else:
                assert np.array_equal(values, right), dtype


def functions(strict):
    for module, ours, part in (
        (strict, np, ""),
        (strict.linalg, np.linalg, "linalg"),
        (strict.fft, np.fft, "fft"),
    ):
        for name in module.__all__:
            if inspect.isfunction(getattr(module, name)) and not name.endswith("_flags") and name[0] != "_":
                yield part, name, getattr(module, name), ours


def test_every_function_of_the_standard_has_a_call_here(strict):
    named = {name.split(" ")[0] for name, _ in CALLS}
    covered = set("ones zeros broadcast_shapes empty result_type linalg.matrix_transpose".split())
    lacking = {f"{part}.{name}" if part else name for part, name, *_ in functions(strict)} - named - covered
    assert lacking == set()


def test_every_function_takes_the_keywords_of_the_standard(strict):
    refused = []
    for part, name, function, module in functions(strict):
        ours = OURS.get(f"{part}_{name}" if part else name)
        ours = TABLE.get(getattr(module, name, None)) if ours is None else partial(ours, np)
        if ours is None or type(ours) is Op:
            continue
        asked = inspect.signature(function).parameters.values()
        places = [p for p in asked if p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL)]
        names = {p.name: None for p in asked if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
        try:
            inspect.signature(ours).bind(*places, **names)
        except TypeError as error:
            refused.append((part, name, str(error)))
    assert refused == []


def test_all_arrays_of_a_module_have_one_namespace_which_is_not_numpys():
    outer, inner = Tape(), Symbols()
    x, y = outer.enter(X), inner.enter(X)
    assert namespace(x) is namespace(x + 1) is namespace(y) is namespace(namespace(x).zeros(3))
    assert namespace(x) is namespace(x > 0.5)
    assert "numpy" not in namespace(x).__name__.split(".")[:1]
    with pytest.raises(ValueError, match="is not one of"):
        x.__array_namespace__(api_version="2019.12")


def test_code_that_asks_for_no_namespace_gets_plain_truth_values_and_integers():
    x = Tape().enter(X)
    assert type(x > 0.5) is np.ndarray
    assert type(np.argsort(x)) is np.ndarray


def test_a_namespace_makes_arrays_of_the_trace_that_is_open():
    def inner(y):
        return namespace(y).sum(y * namespace(y).ones(3)) ** 2

    def outer(x):
        g = xg.grad(inner)(x)
        return namespace(x).sum(g * namespace(x).asarray([1.0, 2.0, 3.0]))

    assert close(xg.grad(outer)(np.arange(3.0)), np.full(3, 2.0 * 6), EXACT)


@pytest.mark.parametrize("transform", [lambda f: f, xg.compile], ids=["eager", "compiled"])
def test_masks_integers_and_constants_of_the_namespace_work_in_a_loss(transform):
    def loss(x):
        xp = namespace(x)
        rows = xp.take(x, xp.asarray([2, 0]), axis=0)
        kept = xp.where((rows > 0.3) & xp.isfinite(rows), rows**2, xp.asarray(0.0))
        return xp.sum(kept * xp.arange(4, dtype=xp.float64))

    rows = X[[2, 0]]
    expected = np.zeros_like(X)
    expected[[2, 0]] = np.where(rows > 0.3, 2 * rows, 0) * np.arange(4)
    value, gradient = transform(xg.value_and_grad(loss))(X)
    assert close(value, np.sum(np.where(rows > 0.3, rows**2, 0) * np.arange(4)), EXACT)
    assert close(gradient, expected, EXACT)


def test_what_has_no_derivative_to_lose_becomes_a_plain_number():
    tape = Tape()
    x = tape.enter(X)
    xp = namespace(x)
    assert int(xp.argmax(x)) == int(np.argmax(X))
    assert float(xp.asarray(0.25)) == 0.25
    assert [10, 20, 30][xp.asarray(1)] == 20
    assert xp.asarray([1, 2]).tolist() == [1, 2]
    assert np.asarray(xp.asarray([1, 2])).dtype == int
    assert xp.asarray(2.5).item() == 2.5
    assert np.from_dlpack(xp.asarray([1.0, 2.0])).sum() == 3.0
    for lose in (float, int, complex):
        with pytest.raises(xg.TraceError, match="would lose its derivative"):
            lose(x[0, 0])
    with pytest.raises(xg.TraceError, match="__dlpack__ of a traced array would lose"):
        np.from_dlpack(x)


def test_a_truth_value_reads_and_writes_as_a_mask_without_axes():
    tape = Tape()
    x = tape.enter(X)
    xp = namespace(x)
    assert x[xp.asarray(True)].shape == (1, 3, 4)
    assert x[xp.asarray(False)].shape == (0, 3, 4)
    y = xp.asarray(x, copy=True)
    y[xp.asarray(False)] = 5.0
    assert close(strip(y), X, EXACT)
    y[xp.any(x > 0)] = 5.0
    assert close(strip(y), np.full((3, 4), 5.0), EXACT)
    total = xp.sum(x)
    total[xp.asarray(True)] = xp.asarray([2.0])  # portable code has no scalars, which could not be written to
    assert float(strip(total)) == 2.0


def test_a_traced_array_stays_on_its_device():
    x = Tape().enter(X)
    assert x.to_device(x.device) is x
    assert x.__dlpack_device__() == (1, 0)
    with pytest.raises(xg.DeviceError, match="stays on its device"):
        x.to_device("gpu")


def test_as_strided_is_refused_since_it_reads_memory_that_is_not_there():
    with pytest.raises(xg.TraceError, match="as_strided reads memory"):
        xg.grad(lambda x: np.sum(np.lib.stride_tricks.as_strided(x, (2, 2), (-8, 8))))(np.ones(3))


def test_an_error_of_ours_comes_through_a_function_in_c_that_goes_on_after_it():
    optimize = pytest.importorskip("scipy.optimize")
    with pytest.raises(xg.TraceError, match=r"float\(\) of a traced array would lose"):
        xg.grad(lambda a: optimize.brentq(lambda t: t**2 - a[0], 0.0, 2.0))(np.ones(2))
