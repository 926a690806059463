"""A region in a loop on the host, around the library's products or samples that stay there.

`joined` makes one region of several and the products between them, `part` cuts it to the length of a tile,
`turn` is what is done for a tile, `sums` what comes of all, `tiled` the loop, and `stream` says which
samples can stay on the host.
"""
