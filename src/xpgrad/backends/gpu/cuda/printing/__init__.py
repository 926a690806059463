"""A step of a plan as CUDA C++; nothing here needs CuPy.

`kernel` writes a step as a module. The kernel has one of two forms: `by_thread`, one thread per sample, with
`vector_loads`, or `by_block`, one block per tile, which runs the work of `phases`, with `matmul`,
`matmul_by_thread` and `matmul_by_warp` for matmuls with many features. `grid` sizes the grid. Both forms ask
`builder` for one entry of any value, which `expressions` writes. The functions that an expression calls are
printed by `functions` or stand in ``prelude.cuh``, which `source` returns.
"""
