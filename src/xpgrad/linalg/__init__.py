"""Linear algebra by SciPy's names: triangular systems, functions of matrices, structure.

Everything is made of ops, so that it has derivatives of every order in both modes, on either device, compiled
and in `vmap`. Matrices are the last two axes; those before are stacks of them. Integers become float64.
"""

from xpgrad.linalg._banded import solve_banded, solve_toeplitz, solveh_banded
from xpgrad.linalg._functions import expm, logm, sqrtm
from xpgrad.linalg._structured import block_diag, toeplitz
from xpgrad.linalg._systems import cho_factor, cho_solve, solve_sylvester, solve_triangular

__all__ = [
    "block_diag",
    "cho_factor",
    "cho_solve",
    "expm",
    "logm",
    "solve_banded",
    "solve_sylvester",
    "solve_toeplitz",
    "solve_triangular",
    "solveh_banded",
    "sqrtm",
    "toeplitz",
]
