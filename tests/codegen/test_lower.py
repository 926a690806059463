"""Steps of plans of tiny functions as kernels: what is read where, and what is rounded once."""

import textwrap

import numpy as np

from plan.planning import LOOPS, plan_of
from xpgrad._trees import flatten
from xpgrad.backends.layouts import layout_of
from xpgrad.codegen.lower import lower
from xpgrad.codegen.one_hot import without_choices
from xpgrad.codegen.show import show
from xpgrad.ops.indexing import ARRAY, scatter_add
from xpgrad.plan import Target

SMALL = Target(cache=1024)
x, y, z = np.zeros(40), np.zeros(40), np.zeros(40)
X, w = np.zeros((40, 3)), np.zeros(3)
labels = np.zeros(40, np.int64)


def assert_kernel(text, f, *args, target=LOOPS):
    """Assert that the only step of ``f`` is the kernel ``text``."""
    plan = plan_of(f, *args, target=target)
    held = {v: layout_of(np.asarray(a)) for v, a in zip(plan.graph.inputs, flatten(args)[0], strict=True)}
    (step,) = plan.steps
    kernel = lower(step, plan, held, set(plan.graph.outputs), lambda _: None)
    assert show(kernel, plan.graph).splitlines() == textwrap.dedent(text).strip().splitlines()


def test_a_product_and_a_sum_are_rounded_once():
    assert_kernel(
        """
        loop i
          c = exp(a[i])
          e = fma(c, b[i], a[i])
          f sum= e
        """,
        lambda x, y: np.sum(np.exp(x) * y + x),
        x,
        y,
    )


def test_a_product_is_subtracted_in_one_rounding():
    assert_kernel(
        """
        loop i
          e = fma(-b[i], c[i], a[i])
          e[i] = e
        """,
        lambda x, y, z: x - y * z,
        x,
        y,
        z,
    )


def test_what_is_subtracted_from_a_product_is_negative():
    assert_kernel(
        """
        loop i
          e = fma(a[i], b[i], -c[i])
          e[i] = e
        """,
        lambda x, y, z: x * y - z,
        x,
        y,
        z,
    )


def test_a_product_that_is_read_twice_is_rounded():
    assert_kernel(
        """
        loop i
          c = multiply(a[i], b[i])
          d = add(c, a[i])
          d[i] = d
          e sum= c
        """,
        lambda x, y: (lambda p: (p + x, np.sum(p)))(x * y),
        x,
        y,
    )


def test_a_product_that_is_summed_alone_is_a_pair_of_factors():
    assert_kernel(
        """
        loop i
          d sum= a[i] * b[i]
        """,
        lambda x, y: np.sum(x * y),
        x,
        y,
    )


def test_a_contraction_is_a_nest_of_its_own():
    assert_kernel(
        """
        matmul i, j0
          c[i] sum= a[i, j0] * b[j0]
        loop i
          d = exp(c[i])
          e sum= d
        """,
        lambda X, w: np.sum(np.exp(X @ w)),
        X,
        w,
    )


def test_a_transpose_inside_is_an_order_of_indices():
    assert_kernel(
        """
        loop i, j0
          c = exp(a[i, j0])
          c[i, j0] = c
        matmul i, j0
          e[j0] sum= c[i, j0] * b[i]
        """,
        lambda X, r: np.exp(X).T @ r,
        X,
        x,
    )


def test_a_maximum_along_an_axis_goes_to_its_sample():
    assert_kernel(
        """
        loop i, j0
          b[i] max= a[i, j0]
        """,
        lambda X: np.max(X, axis=1),
        X,
    )


def test_slices_are_nests_with_axes_of_their_own():
    assert_kernel(
        """
        slices j0
          c[j0] = a[j0]
        slices j1
          c[j1 + 3] = b[j1]
        loop j2
          d = multiply(c[j2], 2)
          d[j2] = d
        """,
        lambda x, y: np.concatenate([x, y]) * 2,
        np.zeros(3),
        np.zeros(4),
        target=SMALL,
    )


def test_a_stencil_reads_a_stored_value_at_two_offsets():
    assert_kernel(
        """
        loop j0
          b = exp(a[j0])
          b[j0] = b
        loop j1
          e = subtract(b[j1 + 1], b[j1])
          e[j1] = e
        """,
        lambda x: (lambda u: u[1:] - u[:-1])(np.exp(x)),
        np.zeros(5),
        target=SMALL,
    )


def test_a_label_chooses_an_entry_of_its_row():
    assert_kernel(
        """
        loop i, j0
          c = multiply(a[i, j0], 2)
          c[i, j0] = c
        loop i
          d = c[i, 0] moved by b[i] of 3 along axis 1
          e sum= d
        """,
        lambda X, y: np.sum((X * 2)[np.arange(40), y]),
        X,
        labels,
    )


def test_what_is_added_to_the_entry_of_a_label_is_one_hot():
    def scattered(g, labels):
        return scatter_add(g, np.arange(40), labels, index=(ARRAY, ARRAY), shape=(40, 3))

    assert_kernel(
        """
        loop i, j0
          c = a[i] if b[i] == j0 else 0
          c[i, j0] = c
        """,
        scattered,
        x,
        labels,
    )


def test_codes_choose_an_entry_of_a_table():
    assert_kernel(
        """
        loop i, j0
          c = a[0, j0] moved by b[i] of 3 along axis 0
          d = exp(c)
          e sum= d
        """,
        lambda E, c: np.sum(np.exp(E[c])),
        np.zeros((3, 4)),
        labels,
    )


def test_codes_choose_where_a_table_is_added_to():
    def scattered(g, codes):
        return scatter_add(np.exp(g), codes, index=(ARRAY,), shape=(3, 4))

    assert_kernel(
        """
        loop i, j0
          c = exp(a[i, j0])
          c[i, j0] = c
        scatter i, j0
          d[0, j0] moved by b[i] of 3 along axis 0 sum= c[i, j0]
        """,
        scattered,
        np.zeros((40, 4)),
        labels,
    )


def test_additions_by_codes_are_sums_of_one_hot_entries_for_a_generator_without_choices():
    plan = plan_of(lambda g, c: scatter_add(np.exp(g), c, index=(ARRAY,), shape=(3,)), x, labels, target=LOOPS)
    kernel = lower(plan.steps[0], plan, {}, set(plan.graph.outputs), lambda _: None)
    kernel.nests = without_choices(kernel.nests)
    assert show(kernel, plan.graph).splitlines()[2:] == [
        "  c[i] = c",
        "loop i, j0",
        "  d = c[i] if b[i] == j0 else 0",
        "  d[j0] sum= d",
    ]
