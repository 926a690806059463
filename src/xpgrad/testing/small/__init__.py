"""Small programs: a few lines of any NumPy on a few entries, special values and closed-over arrays included.

Beside the programs of `generation`, which are smooth and of moderate size, these go where rules have
guards: ties, zeros of both signs, huge and tiny entries, empty axes, axes of length 1, ranks that do not
match, repeated indices, integers and booleans as numbers. Each file has the lines of one family.
"""
