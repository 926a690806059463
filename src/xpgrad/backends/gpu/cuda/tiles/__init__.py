"""Loops on the host over the tiles of a region, for the library's matmuls or samples on the host.

`fused_regions` makes one region of several and the matmuls between them, `tile_region` cuts it to the length of
a tile, `tile_program` has the kernels and library calls of a tile, `sums` adds up the tiles' sums, `host_loop`
is the loop, and `host_inputs` determines which samples can stay on the host.
"""
