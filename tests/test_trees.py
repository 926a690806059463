"""Trees from several threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import make_dataclass

import optree

from xpgrad._trees import flatten, unflatten


def test_two_threads_that_meet_a_dataclass_at_once_both_take_it_apart(monkeypatch):
    Pair = make_dataclass("Pair", ["first", "second"])
    together = threading.Barrier(2)
    register = optree.register_pytree_node

    def slowly(*args, **options):
        with suppress(threading.BrokenBarrierError):
            together.wait(0.3)  # for the other thread, where nothing keeps it out
        return register(*args, **options)

    monkeypatch.setattr(optree, "register_pytree_node", slowly)

    def there_and_back(k):
        leaves, structure = flatten({"pair": Pair(k, (k + 1, None))})
        return leaves, unflatten(structure, leaves)

    with ThreadPoolExecutor(2) as threads:
        for k, (leaves, tree) in enumerate(threads.map(there_and_back, range(2))):
            assert leaves == [k, k + 1]
            assert tree == {"pair": Pair(k, (k + 1, None))}


def test_each_of_several_dataclasses_in_one_tree_is_taken_apart():
    Pair, Point = make_dataclass("Pair", ["first", "second"]), make_dataclass("Point", ["x"])
    leaves, structure = flatten([Point(1), Pair(2, Point(3)), 4])
    assert leaves == [1, 2, 3, 4]
    assert unflatten(structure, leaves) == [Point(1), Pair(2, Point(3)), 4]
