"""Loops that are rolled back: the rolled graph has the numbers of the unrolled one, to the last bit."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad._trees import flatten
from xpgrad.backends import choose
from xpgrad.core import show
from xpgrad.passes import bodies
from xpgrad.passes.cse import cse
from xpgrad.passes.dead import dead
from xpgrad.passes.fold import fold
from xpgrad.passes.periods import Repeat, repeats
from xpgrad.passes.roll import roll
from xpgrad.passes.writes import writes
from xpgrad.testing import tolerance
from xpgrad.testing.tolerances import close
from xpgrad.trace import graph_of

N = 60
PASSES = [fold, cse, writes, roll, dead]
X = np.linspace(-0.5, 1.0, 3)
rng = np.random.default_rng(0)
A = rng.random((3, N))


def loops(graph):
    return [node for node in graph.nodes if node.op.name == "loop"]


# ── forms of loops ───────────────────────────────────────────────────────────────────────────
def a_map(x):
    for _ in range(N):
        x = np.sin(x) * 0.9 + 0.1 * x
    return np.sum(x)


def rows_of_an_array(x, a):
    for i in range(N):
        x = np.sin(x) * a[:, i] + a[0, i] - a[1, -i - 1]
    return np.sum(x)


def an_invariant(w, x):
    for _ in range(N):
        x = np.tanh(w @ x)
    return np.sum(x**2)


def a_number_for_each_iteration(x):
    for i in range(N):
        x = np.cos(x) * (i + 1) / N
    return np.sum(x)


def results_in_a_list(x):
    found = []
    total = 0.0
    for i in range(N):
        x = np.cos(x) + 0.1
        found.append(x)
        total = total + x[0] * 0.5**i
    return np.sum(np.stack(found) ** 2) + total


def rows_that_are_written(x):
    out = np.zeros_like(x, shape=(N + 2, 3))
    for i in range(N):
        x = np.sin(x) + 0.1
        out[i + 1] = x
    return np.sum(out**2)


def columns_that_are_written(x, out):
    out = out.copy()
    for i in range(N):
        x = np.sin(x) + 0.1
        out[:, -i - 1] = x
    return np.sum(out * A)


def results_along_an_axis(x):
    found = []
    for _ in range(N):
        x = np.cos(x) + 0.1
        found.append(x)
    return np.sum(np.stack(found, axis=1) * A)


def interior_in_place(k, u):
    u = u.copy()
    for _ in range(N):
        u[1:-1, 1:-1] += k * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1])
    return np.sum(u**2)


def two_steps_back(c, x):
    before, now = x, x * 1.1
    for _ in range(N):
        before, now = now, 2 * now - before + c * (np.roll(now, 1) - 2 * now + np.roll(now, -1))
    return np.sum(now**2)


def momentum(x):
    v = 0 * x
    for _ in range(N):
        v = 0.9 * v - 0.1 * (x**3 - x)
        x = x + v
    return np.sum(x)


def gradient_steps(w, X, y):
    for _ in range(N):
        w = w - 0.1 * xg.grad(lambda w: np.mean((X @ w - y) ** 2))(w)
    return np.sum(w**2)


def runge_kutta(p, y):
    def f(y):
        return np.stack([p[0] * y[0] - p[1] * y[0] * y[1], p[2] * y[0] * y[1] - p[3] * y[1]])

    h, found = 0.01, []
    for _ in range(N):
        k1 = f(y)
        k2 = f(y + h / 2 * k1)
        k3 = f(y + h / 2 * k2)
        k4 = f(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        found.append(y)
    return np.mean(np.stack(found) ** 2)


def kalman(q, ys):
    F, H = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    P, x, total = np.eye(2), np.zeros(2), 0.0
    for i in range(N):
        x, P = F @ x, F @ P @ F.T + q * np.eye(2)
        r, S = ys[i] - H @ x, H @ P @ H.T + 0.5 * np.eye(1)
        K = P @ H.T @ np.linalg.inv(S)
        x, P = x + K @ r, P - K @ H @ P
        total = total - 0.5 * (r @ np.linalg.solve(S, r) + np.log(np.linalg.det(S)))
    return total


def a_list_of_parameters(params, x):
    for w, b in params:
        x = np.tanh(w * x + b)
    return np.sum(x)


FORMS = {
    "a map": (a_map, (X,), (0,)),
    "rows of an array": (rows_of_an_array, (X, A), (0, 1)),
    "an invariant": (an_invariant, (A[:, :3], X), (0, 1)),
    "a number for each iteration": (a_number_for_each_iteration, (X,), (0,)),
    "results in a list": (results_in_a_list, (X,), (0,)),
    "rows that are written": (rows_that_are_written, (X,), (0,)),
    "columns that are written": (columns_that_are_written, (X, A), (0, 1)),
    "results along an axis": (results_along_an_axis, (X,), (0,)),
    "interior in place": (interior_in_place, (0.1 + np.zeros((6, 5)), rng.random((8, 7))), (0, 1)),
    "two steps back": (two_steps_back, (0.1 + np.zeros(6), rng.random(6)), (0, 1)),
    "momentum": (momentum, (X,), (0,)),
    "gradient steps": (gradient_steps, (X[:2], rng.random((5, 2)), rng.random(5)), (0, 1)),
    "runge-kutta": (runge_kutta, (np.array([1.0, 0.5, 0.3, 0.8]), np.array([1.0, 2.0])), (0, 1)),
    "kalman": (kalman, (0.3, rng.random((N, 1))), (0, 1)),
    "a list of parameters": (
        a_list_of_parameters,
        ([(k / 60, 0.1) for k in range(N)], X),
        (0, 1),
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_forward_and_backward_sweep_are_rolled(name, through):
    f, args, argnums = FORMS[name]
    found = through(PASSES, xg.value_and_grad(f, argnums=argnums), *args, exact=True)
    assert [node.params["length"] > N - 5 for node in loops(found.graph)] == [True, True]


@pytest.mark.parametrize("name", FORMS)
def test_the_pass_does_not_unroll_what_it_reads(name, through):
    """The nodes outside the loops are those of the iterations at either end, whatever the length."""
    f, args, argnums = FORMS[name]
    if name == "a list of parameters":
        return  # has an output for each
    found = through(PASSES, xg.value_and_grad(f, argnums=argnums), *args, exact=True)
    per_iteration = max(len(node.params["body"].nodes) for node in loops(found.graph))
    assert len(found.graph.nodes) < 25 + 6 * per_iteration


@pytest.mark.parametrize("name", FORMS)
def test_compiled_and_interpreted_loops_agree_with_the_eager_ones(name):
    f, args, argnums = FORMS[name]
    f = xg.value_and_grad(f, argnums=argnums)
    expected = flatten(f(*args))[0]
    for generator in ("auto", "interpreter", "definition"):
        with choose.use(generator):
            for a, b in zip(flatten(xg.compile(f)(*args))[0], expected, strict=True):
                assert close(a, b, tolerance(np.float64).value)


@pytest.mark.parametrize("name", ["a map", "rows of an array", "interior in place", "two steps back"])
def test_the_gradient_of_a_rolled_loop_agrees_with_finite_differences(name):
    f, args, argnums = FORMS[name]
    xg.check_grads(xg.compile(f), [args[k] for k in argnums], order=1, modes=("rev",))


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_the_iterations_of_a_loop_over_large_arrays(threads):
    def f(x):
        for _ in range(600):
            x = np.sin(x) * 0.9 + 0.1 * x
        return x

    x = np.random.default_rng(1).random(300_000)
    expected = f(x)
    step = xg.compile(f, threads=threads)
    assert close(step(x), expected, tolerance(np.float64).value)
    text = step.explain(x)
    assert "a loop of 600 iterations at test_roll.py" in text
    assert ("threads share each iteration" in text) == (threads > 1)


def test_explain_says_who_runs_a_loop_and_why():
    def f(x, a):
        for i in range(N):
            x = np.linalg.inv(x + a[i] * np.eye(5)) @ np.cos(x)
        return np.sum(x)

    x, a = np.eye(5) + 0.1, 4.0 + rng.random(N)
    text = xg.compile(f).explain(x, a)
    assert f"a loop of {N} iterations at test_roll.py" in text
    if choose.generator()[0] == "llvm":
        assert "each iteration is called from Python: inv is done by no kernel" in text
    assert close(xg.compile(f)(x, a), f(x, a), tolerance(np.float64).value)


# ── what is printed ──────────────────────────────────────────────────────────────────────────
def test_a_loop_of_one_line_is_one_node_and_its_body_is_one_iteration(through):
    def f(x):
        for _ in range(64):
            x = np.sin(x) * 0.5
        return x

    found = through(PASSES, f, X, exact=True)
    (node,) = loops(found.graph)
    assert show(node.params["body"]) == (
        "in   a  float64[3]\nb = sin(a)  float64[3]\nc = multiply(b, 0.5)  float64[3]\nout  c"
    )
    assert (node.params["length"], node.params["invariants"], node.params["carries"]) == (64, 0, 1)
    assert any(
        "64 times 2 nodes -> a loop with 1 carried" in note and "test_roll.py" in note for note in found.notes
    )


def test_the_inner_of_two_loops_is_in_the_body_of_the_outer(through):
    def f(x, a):
        for _ in range(30):
            for _ in range(40):
                x = np.sin(x) + 0.1 * x
            x = np.tanh(a @ x)
        return np.sum(x)

    found = through(PASSES, f, X, A[:, :3], exact=True)
    (outer,) = loops(found.graph)
    (inner,) = loops(outer.params["body"])
    assert (outer.params["length"], inner.params["length"]) == (30, 40)


def test_the_passes_reach_into_bodies(through):
    def f(x):
        for _ in range(64):
            x = 0.1 * x + np.log(1 + np.exp(-x))
        return x

    found = through([*PASSES, bodies], f, X)
    assert not loops(found.graph) or "exp" not in [
        n.op.name for n in loops(found.graph)[0].params["body"].nodes
    ]


# ── rows that are written ────────────────────────────────────────────────────────────────────
def test_rows_that_are_written_twice_read_again_or_left_out_keep_their_values(through):
    def f(x, out):
        out = out.copy()
        seen = 0.0
        for i in (3, 1, 4, 1, 5, 9, 2, 6, 5, 3):
            x = np.cos(x)
            out[i] = x
            seen = seen + out[1] + out[7]
        out[0] = 0.0
        return out, seen, out[::2] * 2

    found = through([writes, dead], f, X, rng.random((11, 3)), exact=True)
    assert "index_update" not in found.ops[:-2]


def test_an_array_that_is_read_whole_while_it_is_written_is_made_each_time(through):
    def f(x):
        out = np.zeros_like(x, shape=(10, 3))
        total = 0.0
        for i in range(10):
            out[i] = np.sin(x) * i
            total = total + np.sum(out)
        return total, out

    through([writes, dead], f, X, exact=True)


# ── what is not rolled ───────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("row", [lambda a, i: a[i], lambda a, i: a[-i - 1], lambda a, i: a[i][None, :]])
def test_rows_that_a_differentiated_loop_reads_are_one_slice_whatever_its_length(row):
    def loss(x, a):
        total = 0.0
        for i in range(len(a)):
            r = row(a, i) - x
            x = np.sin(x) + 0.1 * r
            total = total + np.sum(r * r)
        return total

    counts = []
    for n in (N, 4 * N):
        graph, _ = graph_of(xg.value_and_grad(loss), X, rng.random((n, 3)))
        counts.append(len(dead(roll(cse(graph))).nodes))
    assert counts[0] == counts[1] < N


def test_few_iterations_stay_as_they_are(through):
    def f(x):
        for _ in range(7):
            x = np.sin(np.cos(np.tan(x))) * 0.9 + np.exp(np.log1p(np.square(x)))
        return x

    found = through(PASSES, f, X, exact=True)
    assert not loops(found.graph)


def test_an_iteration_that_differs_ends_a_loop(through):
    def f(x):
        for i in range(200):
            x = np.cos(x) * 1.1
            if i == 0:
                x = x * x
            if i == 100:
                x = np.exp(x)
        return x

    found = through(PASSES, f, X, exact=True)
    assert [node.params["length"] for node in loops(found.graph)] == [99, 99] or [
        node.params["length"] for node in loops(found.graph)
    ] == [100, 99]


def test_a_value_of_no_fixed_distance_is_not_carried(through):
    def f(x):
        seen = [x]
        for i in range(100):
            seen.append(np.sin(seen[i // 2]) * seen[i])
        return seen[-1]

    assert not loops(through(PASSES, f, X, exact=True).graph)


def test_an_index_that_jumps_is_not_a_slice(through):
    order = rng.permutation(N)

    def f(x, a):
        for i in range(N):
            x = np.sin(x) * a[int(order[i])] + np.cos(x)
        return x

    through(PASSES, f, X, rng.random((N, 3)), exact=True)


def test_a_program_of_large_arrays_stays_one_pass_over_them():
    graph, _ = graph_of(a_map, np.zeros(1 << 17))
    assert not loops(roll(cse(graph)))


# ── periods ──────────────────────────────────────────────────────────────────────────────────
def test_periods_are_found_with_their_ends():
    assert repeats("ab" + "cd" * 9 + "e", 8) == [Repeat(2, 20, 2)]
    assert repeats("abcdefghijklmnopqrstuvwxyz", 8) == []


def test_the_shorter_period_comes_first():
    found = repeats(("a" * 10 + "b") * 9, 8)
    assert [r.period for r in found[:9]] == [1] * 9
    assert found[-1] == Repeat(0, 99, 11)


def test_a_body_whose_lines_repeat_has_the_period_of_the_whole():
    body = "abcd" * 4 + "e"
    assert Repeat(0, len(body) * 12, len(body)) in repeats(body * 12, 8)
