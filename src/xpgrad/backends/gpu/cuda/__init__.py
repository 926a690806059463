"""The CUDA generator: a step of a plan as CUDA C++.

`expressions` writes one node as a C++ expression; the functions that it names stand in ``prelude.cuh`` and
``special.cuh``, which `source` hands out. None of these imports CuPy.
"""
