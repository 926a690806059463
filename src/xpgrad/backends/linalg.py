"""The implementations of linear algebra and Fourier transforms that NumPy and CuPy share.

Both libraries give named tuples; an implementation gives a plain tuple, as every op of several outputs does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad.core import Implementation

_WHOLE = 48  # rows; from here on halving a triangular matrix pays (measured on 2 cores)


def linalg_implementations(xp: Any) -> dict[str, Implementation]:
    """The implementations for the array module ``xp``, by name of op."""
    la = xp.linalg

    def adjugate(x: Any) -> Any:
        try:
            return la.det(x)[..., None, None] * la.inv(x)
        except np.linalg.LinAlgError:  # a singular matrix: the adjugates of its factors
            u, s, vh = la.svd(x)
            n = s.shape[-1]
            others = xp.where(xp.eye(n, dtype=bool), xp.ones((), s.dtype), s[..., None, :]).prod(axis=-1)
            factor = (la.det(u) * la.det(vh))[..., None, None]
            return factor * ((_h(vh) * others[..., None, :]) @ _h(u))

    def adjugate_change(x: Any, t: Any) -> Any:
        """With singular values on the diagonal, products of all but two of them; no division."""
        u, s, vh = la.svd(x)
        t = _h(u) @ t @ _h(vh)
        but_two = _but_two(xp, s)
        diagonal = xp.eye(s.shape[-1], dtype=bool)
        on_diagonal = (but_two @ xp.diagonal(t, 0, -2, -1)[..., None]) * diagonal
        factor = (la.det(u) * la.det(vh))[..., None, None]
        return factor * (_h(vh) @ (on_diagonal - but_two * t) @ _h(u))

    def inv_lower(x: Any) -> Any:
        n = x.shape[-1]
        if n <= _WHOLE:
            return la.inv(x)
        k = n // 2
        top, bottom = inv_lower(x[..., :k, :k]), inv_lower(x[..., k:, k:])
        out = xp.zeros_like(x)
        out[..., :k, :k], out[..., k:, k:] = top, bottom
        out[..., k:, :k] = -(bottom @ (x[..., k:, :k] @ top))
        return out

    def embed_diagonal(x: Any, *, offset: int = 0, size: tuple[int, int] | None = None) -> Any:
        n = x.shape[-1] + abs(offset)
        out = xp.zeros((*x.shape[:-1], *(size or (n, n))), x.dtype)
        k = xp.arange(x.shape[-1])
        out[..., k + max(-offset, 0), k + max(offset, 0)] = x
        return out

    def eig(x: Any) -> Any:
        w, v = la.eig(x)
        dtype = np.result_type(x.dtype, np.complex64)  # NumPy gives real arrays where it can
        return w.astype(dtype, copy=False), v.astype(dtype, copy=False)

    return {
        "tril": lambda x, *, k=0: xp.tril(x, k),
        "triu": lambda x, *, k=0: xp.triu(x, k),
        "diagonal": lambda x, *, offset=0: xp.diagonal(x, offset, -2, -1),
        "embed_diagonal": embed_diagonal,
        "root": xp.sqrt,
        "inv": la.inv,
        "inv_lower": inv_lower,
        "solve": la.solve,
        "apply_inverse": la.solve,
        "det": la.det,
        "slogdet": lambda x: tuple(la.slogdet(x)),
        "adjugate": adjugate,
        "adjugate_change": adjugate_change,
        "pinv": lambda x, *, rcond: la.pinv(x, rcond),
        "lstsq": lambda a, b, *, rcond: la.lstsq(a, b, rcond)[0],
        "cholesky": la.cholesky,
        "eigh": lambda x, *, UPLO="L": tuple(la.eigh(x, UPLO)),
        "eig": eig,
        "svd": lambda x, *, full_matrices=False: tuple(la.svd(x, full_matrices)),
        "qr": lambda x: tuple(la.qr(x)),
        **_fft_implementations(xp.fft),
    }


def _but_two(xp: Any, s: Any) -> Any:
    """For each i and j the product of the entries other than these two; 0 for i = j."""
    n = s.shape[-1]
    one = xp.ones_like(s[..., :1])

    def before(s: Any) -> Any:
        return xp.cumprod(xp.concatenate([one, s[..., :-1]], axis=-1), axis=-1)

    left, right = before(s), before(s[..., ::-1])[..., ::-1]
    out = xp.zeros((*s.shape, n), s.dtype)
    for i in range(n - 1):
        out[..., i, i + 1 :] = left[..., i : i + 1] * before(s[..., i + 1 :]) * right[..., i + 1 :]
    return out + out.swapaxes(-1, -2)


def _h(x: Any) -> Any:
    return x.conj().swapaxes(-1, -2)


def _fft_implementations(fft: Any) -> dict[str, Implementation]:
    def fftn(x: Any, *, axes: tuple[int, ...], inverse: bool, norm: str) -> Any:
        if len(axes) == 1:
            return (fft.ifft if inverse else fft.fft)(x, axis=axes[0], norm=norm)
        return (fft.ifftn if inverse else fft.fftn)(x, axes=axes, norm=norm)

    def rfftn(x: Any, *, axes: tuple[int, ...], norm: str) -> Any:
        return fft.rfft(x, axis=axes[0], norm=norm) if len(axes) == 1 else fft.rfftn(x, axes=axes, norm=norm)

    def irfftn(x: Any, *, n: int, axes: tuple[int, ...], norm: str) -> Any:
        if len(axes) == 1:
            return fft.irfft(x, n, axis=axes[0], norm=norm)
        return fft.irfftn(x, s=(*[x.shape[a] for a in axes[:-1]], n), axes=axes, norm=norm)

    return {"fftn": fftn, "rfftn": rfftn, "irfftn": irfftn}
