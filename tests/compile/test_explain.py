"""What `explain` says is what happens: rewrites with their lines, steps, kernels and their texts."""

import inspect
import re
import textwrap

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import Collector
from xpgrad.backends import choose
from xpgrad.backends.cpu.llvm import program as llvm
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.backends.store import Store
from xpgrad.compiler import compile

rng = np.random.default_rng(0)
M = 3000
X = rng.normal(size=(M, 4))
Y = (X[:, 0] > 0).astype(float)
w = rng.normal(size=4) / 4
needs_llvm = pytest.mark.skipif(available() is not None, reason="llvmlite cannot be used here")


def line_in(f, code):
    """``file:line: code`` of the line of ``f`` that contains ``code``."""
    lines, first = inspect.getsourcelines(f)
    at = next(k for k, line in enumerate(lines) if code in line)
    return f"test_explain.py:{first + at}: {lines[at].strip()}"


# ── programs ─────────────────────────────────────────────────────────────────────────────────
def logistic(w, X, Y):
    z = X @ w
    a = 1 / (1 + np.exp(-z))
    return -np.mean(Y * np.log(a) + (1 - Y) * np.log(1 - a))


def softmax(W, X, Y):
    z = X @ W
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return -np.mean(np.log(e / e.sum(axis=1, keepdims=True)) * Y)


def mlp(params, X, Y):
    (W, b), v = params
    return np.mean((np.tanh(X @ W + b) @ v - Y) ** 2)


def standardised(w, X, Y):
    return np.mean((((X - X.mean(0)) / X.std(0)) @ w - Y) ** 2)


def black_scholes(S, K):
    d = np.log(S / K) / 0.2 + 0.1
    return np.sum(S * xg.special.erf(d) - K * xg.special.erf(d - 0.2))


def decay(a, x):
    s = 0.0
    for t in range(12):
        s = a * s + x[t]
    return s**2


def spread(x):
    return np.max(x) - np.min(x) + np.sum(np.exp(x))


PROGRAMS = {
    "logistic": (xg.value_and_grad(logistic), (w, X, Y)),
    "logistic of a minibatch": (xg.value_and_grad(logistic), (w, X[:64], Y[:64])),
    "softmax": (xg.value_and_grad(softmax), (np.zeros((4, 3)), X, np.eye(3)[rng.integers(0, 3, M)])),
    "mlp": (xg.value_and_grad(mlp), (((np.ones((4, 5)) / 9, np.zeros(5)), np.ones(5)), X, Y)),
    "standardise, then fit": (xg.value_and_grad(standardised), (w, X, Y)),
    "Black-Scholes": (xg.grad(black_scholes, argnums=(0, 1)), (Y + 90, Y + 80)),
    "scan": (xg.grad(decay), (0.5, Y[:12].copy())),
    "hessian": (xg.hessian(logistic), (w, X, Y)),
    "hvp": (xg.hvp(logistic), (w, X, Y, w + 1)),
    "max and min": (spread, (np.tile(Y, 20),)),
    "einsum": (lambda A, B: np.einsum("ij,ij->i", A, B).sum(), (X, X + 1)),
    "where": (xg.grad(lambda x: np.sum(np.where(x > 0, x, 0.0) ** 2)), (np.tile(Y, 20),)),
    "sort": (lambda x: np.sort(np.exp(x)) * 2, (np.tile(Y, 20),)),
    "median": (lambda x: np.median(x**2) - x, (np.tile(Y, 20),)),
    "fft": (lambda x: np.sum(np.abs(np.fft.fft(x * 2.0)) ** 2), (np.tile(Y, 20),)),
    "columns": (lambda X: (np.sin(X) + 1, X.T), (np.tile(X, (5, 1)),)),
    "nothing": (lambda x: x, (Y,)),
}
# Their loops are the interpreter's.
BY_THE_INTERPRETER = ("fft", "median", "sort")
every_program = pytest.mark.parametrize("name", PROGRAMS)


# ── rewrites ─────────────────────────────────────────────────────────────────────────────────
EXPIT = "1 / (1 + exp(-z)) -> expit(z)"
SOFTPLUS = "log(expit(z)) -> -softplus(-z)"


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: f,
        xg.grad,
        xg.value_and_grad,
        xg.jacobian,
        xg.hessian,
        lambda f: lambda *args: xg.hvp(f)(*args, args[0]),
        lambda f: lambda *args: xg.vjp(f, *args)[0],
        lambda f: lambda *args: xg.jvp(f, args, args)[1],
        lambda f: xg.grad(lambda *args: np.sum(xg.grad(f)(*args) ** 2)),
        lambda f: xg.grad(xg.checkpoint(f)),
        lambda f: xg.grad(compile(f)),
    ],
    ids="plain grad value_and_grad jacobian hessian hvp vjp jvp nested checkpoint compiled".split(),
)
def test_each_rewrite_is_named_with_its_line_wherever_it_happened(transform):
    with choose.use("interpreter"):
        text = compile(transform(logistic)).explain(w, X, Y)
    assert f"{EXPIT}  at {line_in(logistic, '1 / (1')}\n" in text
    assert f"{SOFTPLUS}  at {line_in(logistic, 'np.log(a)')}\n" in text


def notes(text):
    """What the passes say of single lines."""
    part = text[text.index("\npasses\n") : text.index("\nprogram\n")]
    return [line.strip() for line in part.splitlines() if "->" in line and not line.endswith(" nodes")]


@every_program
def test_each_note_has_a_line_and_is_there_once(name):
    f, args = PROGRAMS[name]
    with choose.use("interpreter"):
        found = notes(compile(f).explain(*args))
    assert all(re.search(r"  at test_explain\.py:\d+: \S", note) for note in found)
    # A pass may find again what an earlier one has left, but says nothing twice.
    assert len(found) <= 2 * len(set(found))


def test_a_program_without_a_rewrite_names_none():
    for f in (lambda x, y: np.sum(np.sin(x) * y), lambda x, y: xg.vjp(np.sin, x)[1](y)):
        text = compile(f).explain(Y, Y)
        assert notes(text) == []
        assert "within transforms" not in text


def test_plain_simplifications_are_named_too():
    found = notes(compile(lambda x: np.mean(x**2)).explain(Y))
    assert [note.split("  at ")[0] for note in found] == [
        "power(an input, 2) -> square(an input)",
        "mean(square) -> divide(sum, 3000.0)",
    ]


def test_what_a_compiled_function_within_rewrites_for_itself_is_not_this_functions():
    inner = compile(xg.grad(logistic))

    def f(x):
        return np.sum(x * inner(w, X, Y)[0])  # of numbers: computed while f is traced

    assert EXPIT not in compile(f).explain(Y)
    assert EXPIT in inner.explain(w, X, Y)


def test_a_trace_that_is_given_up_leaves_no_rewrites():
    def f(pair):
        x, n = pair
        y = np.log(1 + x)  # found, before the number is asked for
        return np.sum(y) if n > 1 else np.sum(x)

    def g(x):
        return xg.grad(lambda n: f((x, n)))(0.5)

    assert "within transforms" not in compile(g).explain(Y)


def test_a_constant_that_stays_a_node_is_not_said_to_be_computed():
    """An output is a Value: `fold` leaves the op, and says nothing of it."""
    text = compile(lambda x: (x * 1.5, np.stack([x, x]) * 0 + np.exp(0.5))).explain(Y)
    assert "exp of constants" not in text


# ── steps ────────────────────────────────────────────────────────────────────────────────────
def test_inputs_of_the_graph_have_the_numbers_by_which_loops_name_them():
    text = compile(xg.value_and_grad(logistic)).explain(w, X, Y)
    names = dict(re.findall(r"in +\w+  (float64\[[\d, ]*\])  \(input (\d)\)", text))
    assert names == {"float64[4]": "0", "float64[3000, 4]": "1", "float64[3000]": "2"}
    assert set(re.findall(r"reads input (\d)", text)) == {"1", "2"}


def test_an_array_that_the_function_closes_over_is_said_to_be_read():
    text = compile(lambda w: np.sum(np.tanh(X @ w) * Y)).explain(w)
    assert text.count("reads a constant float64[3000, 4] once") == 1
    assert text.count("reads a constant float64[3000] once") == 1


def test_a_maximum_is_not_said_to_be_summed():
    text = compile(spread).explain(np.tile(Y, 20))
    assert len(re.findall(r"reduces by max max float64\[\] at test_explain", text)) == 1
    assert len(re.findall(r"reduces by min min float64\[\] at test_explain", text)) == 1
    assert len(re.findall(r"sums sum float64\[\] at test_explain", text)) == 1


@pytest.mark.parametrize(("f", "reason"), [
    (lambda x: np.sum(x) / 3 + 1, "scalars alone"),
    (lambda x: np.cumsum(x), "no axis that can be taken tile by tile"),
    (lambda x: np.sin(x[:9]), "too small for a loop over tiles"),
    (lambda x: np.outer(x[:2000], x[:2000]) @ np.outer(x[:2000], x[:2000]),
     "large matrices are multiplied by the library"),
])  # fmt: skip
def test_what_is_in_no_loop_has_the_reason(f, reason):
    assert f"without a loop over tiles ({reason})" in compile(f).explain(np.tile(Y, 20))


def test_what_computes_nothing_says_so():
    assert "nothing is computed" in compile(lambda x: x).explain(Y)
    assert "nothing is computed" in compile(lambda x: x.T).explain(X)


@pytest.mark.sweep
@needs_llvm
@pytest.mark.parametrize("name", [n for n in PROGRAMS if n not in BY_THE_INTERPRETER])
def test_loops_have_the_tiles_and_chunks_that_are_said(name, monkeypatch):
    f, args = PROGRAMS[name]
    ran = []

    def counted(step, env):
        run(step, env)
        if hasattr(step.step, "extent"):
            ran.append((str(step.step.extent), str(step.step.chunks)))

    run = llvm.KernelStep.run
    monkeypatch.setattr(llvm.KernelStep, "run", counted)
    monkeypatch.setattr(llvm.LLVMProgram, "_fuse", lambda *_: None)
    with choose.use("llvm"):
        compiled = compile(f)
        text = compiled.explain(*args)
        compiled(*args)
    assert re.findall(r"one loop over (\d+) entries, \d+ in a tile, (\d+) chunk", text) == ran
    for extent, tile, chunks in re.findall(r"over (\d+) entries, (\d+) in a tile, (\d+) chunk", text):
        assert int(tile) <= int(extent)
        assert int(chunks) <= -(-int(extent) // int(tile))


# ── kernels ──────────────────────────────────────────────────────────────────────────────────
def calls_of(compiled, args, monkeypatch):
    """How many kernels one call runs, by what runs them."""
    count = 0

    def counting(run):
        def counted(*given):
            nonlocal count
            count += 1
            return run(*given)

        return counted

    with monkeypatch.context() as patch:
        patch.setattr(llvm.KernelStep, "run", counting(llvm.KernelStep.run))
        patch.setattr(llvm.SingleCall, "run", counting(llvm.SingleCall.run))
        compiled(*args)
    return count


@needs_llvm
@every_program
def test_as_many_kernels_are_printed_as_are_run(name, monkeypatch):
    f, args = PROGRAMS[name]
    compiled = compile(f)
    with choose.use("llvm"):
        text = compiled.explain(*args)
        assert text.count("done by kernel") == calls_of(compiled, args, monkeypatch)
    numbers = [int(n) for n in re.findall(r"done by kernel (\d+)", text)]
    assert numbers == list(range(len(numbers)))


@needs_llvm
def test_a_kernel_is_said_to_be_compiled_if_it_was(monkeypatch):
    scale = rng.normal()  # is an argument of the kernel, so another does not make another

    def f(x):
        return np.exp(np.cos(x) * scale) - np.sqrt(np.abs(np.arctan2(x, 0.25 + x * x)) + 1.25)

    monkeypatch.setattr(llvm, "_ready", {})
    monkeypatch.setattr(Store, "get", lambda self, key: None)
    for x in (Y[:5], np.tile(Y, 20)):  # in one call, and step by step
        first, second = compile(f), compile(f)
        with choose.use("llvm"):
            texts = first.explain(x), second.explain(x)
        assert first.compilations == texts[0].count("(compiled)") == 1
        assert second.compilations == texts[1].count("(compiled)") == 0
        assert "(found ready)" in texts[1]


@every_program
def test_as_many_cuda_kernels_are_printed_as_are_launched(name):
    f, args = PROGRAMS[name]
    compiled, device = compile(f), Collector()
    with choose.use("cuda", None, device):
        text = compiled.explain(*args)
        with np.errstate(all="ignore"):
            compiled(*args)
    shown = [
        launch.split(" on ")[0]
        for line in re.findall(r"by CUDA kernels \((?:compiled|found ready); (.*)", text)
        for launch in re.findall(r"\w+ on \d+ blocks?", line)
    ]
    assert sorted(shown) == sorted(device.launches)
    assert "in a tile" not in text  # of CUDA's blocks that is not the number


# ── source ───────────────────────────────────────────────────────────────────────────────────
def sources(text, heading):
    """The texts under ``heading``, without their indentation."""
    found = []
    lines = text.splitlines()
    for k, line in enumerate(lines):
        if line.strip() == f"{heading}:":
            depth = len(line) - len(line.lstrip())
            body = []
            for below in lines[k + 1 :]:
                if below and len(below) - len(below.lstrip()) <= depth:
                    break
                body.append(below)
            found.append(textwrap.dedent("\n".join(body)).strip())
    return found


@needs_llvm
@every_program
def test_the_source_is_the_ir_that_was_compiled(name):
    f, args = PROGRAMS[name]
    with choose.use("llvm"):
        text = compile(f).explain(*args, source=True)
    found = sources(text, "LLVM IR")
    assert len(found) == text.count("done by kernel")
    compiled = {known.strip() for known in llvm._ready}
    assert set(found) <= compiled
    assert text.count("define void @") >= len(found)
    assert text.count("done by NumPy") + text.count("interpreter, tile by tile") == text.count("no source")


@every_program
def test_the_source_is_the_cuda_text_that_was_compiled(name):
    f, args = PROGRAMS[name]
    device = Collector()
    with choose.use("cuda", None, device):
        text = compile(f).explain(*args, source=True)
    prelude = sources(text, "the prelude, with which the text of each CUDA kernel begins")
    found = sources(text, "CUDA C++, after the prelude")
    assert len(prelude) == (1 if found else 0)
    # A text may be that of two steps, and is then compiled once.
    assert {f"{prelude[0]}\n\n{body}" for body in found} == {re.sub(r"\n+$", "", t) for t in device.texts}


def test_source_is_off_unless_it_is_asked_for():
    text = compile(logistic).explain(w, X, Y)
    assert "LLVM IR" not in text
    assert "define void" not in text


def test_what_the_interpreter_does_has_no_source_and_says_so():
    with choose.use("interpreter"):
        text = compile(logistic).explain(w, X, Y, source=True)
    assert "by the NumPy interpreter (the interpreter was asked for): no source" in text


@pytest.mark.skipif(any(str(d).startswith("gpu") for d in xg.devices()), reason="there is a GPU")
def test_without_a_gpu_source_is_refused_as_explain_is():
    compiled = compile(logistic, device="gpu")
    with pytest.raises(xg.DeviceError) as plain:
        compiled.explain(w, X, Y)
    with pytest.raises(xg.DeviceError) as asked:
        compiled.explain(w, X, Y, source=True)
    assert str(plain.value).splitlines()[0] == str(asked.value).splitlines()[0]


def test_an_argument_named_source_is_given_by_position():
    compiled = compile(lambda x, source: x + source)
    assert "add(a, b)" in compiled.explain(1.5, 2.5)
    assert compiled(1.5, source=2.5) == 4.0


def test_what_a_loss_demands_of_its_data_is_said_to_be_an_output():
    z, labels = np.linspace(-1, 1, 9), np.tile([0.0, 1.0, 1.0], 3)
    text = compile(xg.losses.binary_cross_entropy).explain(z, labels)
    outputs = next(line for line in text.splitlines() if line.strip().startswith("out ")).split(",")
    assert len(outputs) == 2
    assert "the last of them: whether the data are as a loss demands" in text
    plain = compile(xg.losses.mean_squared_error).explain(z, labels)
    assert "as a loss demands" not in plain
