"""A step of a plan as CUDA C++; nothing here needs CuPy.

`kernel` is a step as a module. How its threads share the samples is decided in `by_thread` (a sample for
each, with `strips` for what is loaded at once) or `by_block` (a tile for each block, in `phases`, with
`owners` for products of many features); how many samples a block takes, in `shares`. Both ask `frame` for
one entry of any value, which `expressions` writes; the functions that it calls are printed by `functions` or
stand in ``prelude.cuh``, which `source` hands out.
"""
