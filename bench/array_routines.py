"""Two routines on arrays of several dimensions, in plain NumPy and by hand in Numba's subset of Python.

Written down from their formulas. The loops by hand go through the grid once or twice; `by_hand` compiles them.
"""

import numpy as np

TINY = 1e-12


# ── a tracer in an ocean: advection with a limiter, mixing along slopes, and vertical diffusion ──────────
def tracer_step(
    c, temp, salt, u, v, w, kh, kv, kslope, mask, mask_u, mask_v, mask_w, dxu, dyv, dzw, dzt, area, relax, clim
):
    """One explicit step of a tracer on (x, y, z): x is periodic, walls in y, surface and bottom in z.

    The trailing axis of 2 of ``kv`` and ``kslope`` has the two halves of a cell.
    """
    dt, alpha, beta, s_max = 0.01, 0.2, 0.8, 0.3
    fe, fn, ft = np.zeros_like(c), np.zeros_like(c), np.zeros_like(c)
    # Upwind slopes of the tracer, limited (van Leer), on the periodic axis.
    d = (np.roll(c, -1, axis=0) - c) * mask_u
    behind = np.where(u > 0, np.roll(d, 1, axis=0), np.roll(d, -1, axis=0))
    r = behind / np.where(np.abs(d) < TINY, TINY, d)
    limit = (r + np.abs(r)) / (1 + np.abs(r))
    fe[...] = u * (c + 0.5 * d) - 0.5 * np.abs(u) * (1 - limit) * d
    # The same in y, in the interior.
    dy = (c[:, 1:] - c[:, :-1]) * mask_v[:, :-1]
    here = dy[:, 1:-1]
    behind = np.where(v[:, 1:-2] > 0, dy[:, :-2], dy[:, 2:])
    r = behind / np.where(np.abs(here) < TINY, TINY, here)
    limit = (r + np.abs(r)) / (1 + np.abs(r))
    fn[:, 1:-2] = v[:, 1:-2] * (c[:, 1:-2] + 0.5 * here) - 0.5 * np.abs(v[:, 1:-2]) * (1 - limit) * here
    # Centred in z.
    ft[:, :, :-1] = 0.5 * w[:, :, :-1] * (c[:, :, 1:] + c[:, :, :-1]) * mask_w[:, :, :-1]
    # Mixing along slopes of density, in both halves of a cell.
    rho_x = np.zeros_like(c)
    rho_x[:-1] = ((temp[1:] - temp[:-1]) * -alpha + (salt[1:] - salt[:-1]) * beta) * mask_u[:-1] / dxu[:-1]
    rho_x[-1] = ((temp[0] - temp[-1]) * -alpha + (salt[0] - salt[-1]) * beta) * mask_u[-1] / dxu[-1]
    rho_z = np.zeros_like(c)
    rho_z[:, :, :-1] = (
        ((temp[:, :, 1:] - temp[:, :, :-1]) * -alpha + (salt[:, :, 1:] - salt[:, :, :-1]) * beta)
        * mask_w[:, :, :-1]
        / dzw[:, :, :-1]
    )
    halves = np.zeros_like(c, shape=(*c.shape, 2))
    for half in range(2):
        lower = rho_z[1:-1, 1:-1, half : rho_z.shape[2] - 1 + half]
        slope = -rho_x[1:-1, 1:-1, :-1] / (np.minimum(0.0, lower) - TINY)
        taper = np.where(np.abs(slope) < s_max, 1.0, (s_max / np.maximum(np.abs(slope), s_max)) ** 2)
        halves[1:-1, 1:-1, :-1, half] = (
            kslope[1:-1, 1:-1, :-1, half] * taper * slope * (c[1:-1, 1:-1, 1:] - c[1:-1, 1:-1, :-1])
        )
        ft[1:-1, 1:-1, :-1] -= halves[1:-1, 1:-1, :-1, half] / dzw[1:-1, 1:-1, :-1]
        ft[1:-1, 1:-1, 1:-1] -= (
            kv[1:-1, 1:-1, 1:-1, half] * (c[1:-1, 1:-1, 2:] - c[1:-1, 1:-1, 1:-1]) / dzw[1:-1, 1:-1, 1:-1]
        )
    fe[1:-1, 1:-1] += halves[1:-1, 1:-1, :, 0] + halves[1:-1, 1:-1, :, 1]
    # Horizontal diffusion, with the mean coefficient of two cells.
    fe[:-1] -= 0.5 * (kh[1:] + kh[:-1]) * d[:-1] / dxu[:-1]
    fn[:, :-1] -= 0.5 * (kh[:, 1:] + kh[:, :-1]) * dy / dyv[:, :-1]
    new = c.copy()
    new[1:-1, 1:-1, 1:-1] += (
        -dt
        * mask[1:-1, 1:-1, 1:-1]
        * (
            (fe[1:-1, 1:-1, 1:-1] - fe[:-2, 1:-1, 1:-1]) / area[1:-1, 1:-1, 1:-1]
            + (fn[1:-1, 1:-1, 1:-1] - fn[1:-1, :-2, 1:-1]) / area[1:-1, 1:-1, 1:-1]
            + (ft[1:-1, 1:-1, 1:-1] - ft[1:-1, 1:-1, :-2]) / dzt[1:-1, 1:-1, 1:-1]
        )
    )
    new[1:-1, 1:-1, -1] += dt * relax[1:-1, 1:-1, -1] * (clim[1:-1, 1:-1, -1] - c[1:-1, 1:-1, -1])
    new[0], new[-1] = new[-2], new[1]
    return new


def tracer_loss(c, *rest):
    """A scalar of the step's result; it is differentiated in ``c``, ``u`` and ``kh``."""
    return np.sum(tracer_step(c, *rest) ** 2)


def tracer_arguments(nx=128, ny=128, nz=16):
    rng = np.random.default_rng(0)
    shape = (nx, ny, nz)

    def field(low=-1.0, high=1.0, more=()):
        return rng.uniform(low, high, shape + more)

    def ones_and_zeros():
        return (rng.random(shape) > 0.1).astype(float)

    c, temp, salt, u, v, w = (field() for _ in range(6))
    kh, kv, kslope = field(0.1, 1), field(0.1, 1, (2,)), field(0.1, 1, (2,))
    masks = [ones_and_zeros() for _ in range(4)]
    metric = [field(0.5, 1.5) for _ in range(5)]
    return [c, temp, salt, u, v, w, kh, kv, kslope, *masks, *metric, field(0, 1), field()]


# ── shallow water on a staggered grid ────────────────────────────────────────────────────────────────────
def shallow_step(u, v, h, depth, f, drag):
    """One step of the shallow-water equations on an Arakawa C grid: u east, v north, h in the centre.

    Momentum with Coriolis force, vorticity and kinetic energy, quadratic drag and lateral viscosity, then
    continuity with the new velocities. Borders are held.
    """
    dt, dx, dy, g, nu = 0.01, 1.0, 1.2, 9.8, 0.1
    total = depth + h
    flux_u, flux_v = np.zeros_like(u), np.zeros_like(v)
    flux_u[:-1] = 0.5 * (total[1:] + total[:-1]) * u[:-1]
    flux_v[:, :-1] = 0.5 * (total[:, 1:] + total[:, :-1]) * v[:, :-1]
    vorticity = np.zeros_like(h)
    vorticity[:-1, :-1] = (f[:-1, :-1] + (v[1:, :-1] - v[:-1, :-1]) / dx - (u[:-1, 1:] - u[:-1, :-1]) / dy) / (
        0.25 * (total[:-1, :-1] + total[1:, :-1] + total[:-1, 1:] + total[1:, 1:])
    )
    energy = g * h
    energy[1:, 1:] += 0.25 * (u[1:, 1:] ** 2 + u[:-1, 1:] ** 2 + v[1:, 1:] ** 2 + v[1:, :-1] ** 2)
    u_new, v_new, h_new = u.copy(), v.copy(), h.copy()
    speed = np.sqrt(
        u[1:-1, 1:-1] ** 2 + (0.25 * (v[1:-1, 1:-1] + v[2:, 1:-1] + v[1:-1, :-2] + v[2:, :-2])) ** 2 + 1e-6
    )
    u_new[1:-1, 1:-1] += dt * (
        0.125
        * (
            vorticity[1:-1, 1:-1] * (flux_v[1:-1, 1:-1] + flux_v[2:, 1:-1])
            + vorticity[1:-1, :-2] * (flux_v[1:-1, :-2] + flux_v[2:, :-2])
        )
        - (energy[2:, 1:-1] - energy[1:-1, 1:-1]) / dx
        - drag[1:-1, 1:-1] * speed * u[1:-1, 1:-1]
        + nu * (u[2:, 1:-1] - 2 * u[1:-1, 1:-1] + u[:-2, 1:-1]) / dx**2
        + nu * (u[1:-1, 2:] - 2 * u[1:-1, 1:-1] + u[1:-1, :-2]) / dy**2
    )
    v_new[1:-1, 1:-1] += dt * (
        -0.125
        * (
            vorticity[1:-1, 1:-1] * (flux_u[1:-1, 1:-1] + flux_u[1:-1, 2:])
            + vorticity[:-2, 1:-1] * (flux_u[:-2, 1:-1] + flux_u[:-2, 2:])
        )
        - (energy[1:-1, 2:] - energy[1:-1, 1:-1]) / dy
        - drag[1:-1, 1:-1] * np.abs(v[1:-1, 1:-1]) * v[1:-1, 1:-1]
        + nu * (v[2:, 1:-1] - 2 * v[1:-1, 1:-1] + v[:-2, 1:-1]) / dx**2
        + nu * (v[1:-1, 2:] - 2 * v[1:-1, 1:-1] + v[1:-1, :-2]) / dy**2
    )
    h_new[1:-1, 1:-1] -= dt * (
        (flux_u[1:-1, 1:-1] - flux_u[:-2, 1:-1]) / dx + (flux_v[1:-1, 1:-1] - flux_v[1:-1, :-2]) / dy
    )
    return u_new, v_new, h_new


def shallow_loss(*args):
    """A scalar of the step's result; it is differentiated in ``u``, ``v`` and ``h``."""
    u, v, h = shallow_step(*args)
    return np.sum(u**2) + np.sum(v**2) + np.sum(h**2)


def shallow_arguments(nx=1000, ny=1000):
    rng = np.random.default_rng(0)
    shape = (nx, ny)
    u, v, h = (rng.uniform(-0.1, 0.1, shape) for _ in range(3))
    return [u, v, h, rng.uniform(5, 6, shape), rng.uniform(0.1, 0.2, shape), rng.uniform(0, 0.1, shape)]
