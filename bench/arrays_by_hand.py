"""The two routines of `bench.array_routines` as loops by hand, for Numba; plain Python runs them, too.

In:  the arguments of `tracer_step` and of `shallow_step`.
Out: their results, in new arrays.
Holds: nothing here imports Numba; `bench.arrays` compiles these functions with it.
"""

import numpy as np


def tracer_by_hand(
    c, temp, salt, u, v, w, kh, kv, kslope, mask, mask_u, mask_v, mask_w, dxu, dyv, dzw, dzt, area, relax, clim
):
    """`tracer_step` in two passes over the grid: fluxes, then the new tracer."""
    tiny, dt, alpha, beta, s_max = 1e-12, 0.01, 0.2, 0.8, 0.3
    nx, ny, nz = c.shape
    fe, fn, ft = np.zeros_like(c), np.zeros_like(c), np.zeros_like(c)
    for i in range(nx):
        east, west, far = (i + 1) % nx, (i - 1) % nx, (i + 2) % nx
        for j in range(ny):
            inside = 0 < i < nx - 1 and 0 < j < ny - 1
            for k in range(nz):
                d = (c[east, j, k] - c[i, j, k]) * mask_u[i, j, k]
                if u[i, j, k] > 0:
                    behind = (c[i, j, k] - c[west, j, k]) * mask_u[west, j, k]
                else:
                    behind = (c[far, j, k] - c[east, j, k]) * mask_u[east, j, k]
                r = behind / (tiny if abs(d) < tiny else d)
                limit = (r + abs(r)) / (1 + abs(r))
                e = u[i, j, k] * (c[i, j, k] + 0.5 * d) - 0.5 * abs(u[i, j, k]) * (1 - limit) * d
                n = 0.0
                if j < ny - 1:
                    here = (c[i, j + 1, k] - c[i, j, k]) * mask_v[i, j, k]
                    if 0 < j < ny - 2:
                        if v[i, j, k] > 0:
                            behind = (c[i, j, k] - c[i, j - 1, k]) * mask_v[i, j - 1, k]
                        else:
                            behind = (c[i, j + 2, k] - c[i, j + 1, k]) * mask_v[i, j + 1, k]
                        r = behind / (tiny if abs(here) < tiny else here)
                        limit = (r + abs(r)) / (1 + abs(r))
                        n = v[i, j, k] * (c[i, j, k] + 0.5 * here)
                        n -= 0.5 * abs(v[i, j, k]) * (1 - limit) * here
                    n -= 0.5 * (kh[i, j + 1, k] + kh[i, j, k]) * here / dyv[i, j, k]
                t = 0.0
                if k < nz - 1:
                    t = 0.5 * w[i, j, k] * (c[i, j, k + 1] + c[i, j, k]) * mask_w[i, j, k]
                    if inside:
                        rho_x = (
                            (
                                (temp[east, j, k] - temp[i, j, k]) * -alpha
                                + (salt[east, j, k] - salt[i, j, k]) * beta
                            )
                            * mask_u[i, j, k]
                            / dxu[i, j, k]
                        )
                        up = c[i, j, k + 1] - c[i, j, k]
                        for half in range(2):
                            m = k + half
                            rho_z = 0.0
                            if m < nz - 1:
                                rho_z = (
                                    (
                                        (temp[i, j, m + 1] - temp[i, j, m]) * -alpha
                                        + (salt[i, j, m + 1] - salt[i, j, m]) * beta
                                    )
                                    * mask_w[i, j, m]
                                    / dzw[i, j, m]
                                )
                            slope = -rho_x / (min(0.0, rho_z) - tiny)
                            steep = abs(slope)
                            taper = 1.0 if steep < s_max else (s_max / max(steep, s_max)) ** 2
                            mixed = kslope[i, j, k, half] * taper * slope * up
                            t -= mixed / dzw[i, j, k]
                            e += mixed
                            if k > 0:
                                t -= kv[i, j, k, half] * up / dzw[i, j, k]
                if i < nx - 1:
                    e -= 0.5 * (kh[east, j, k] + kh[i, j, k]) * d / dxu[i, j, k]
                fe[i, j, k], fn[i, j, k], ft[i, j, k] = e, n, t
    new = c.copy()
    for i in range(1, nx - 1):
        for j in range(1, ny - 1):
            for k in range(1, nz - 1):
                div = (fe[i, j, k] - fe[i - 1, j, k]) / area[i, j, k]
                div += (fn[i, j, k] - fn[i, j - 1, k]) / area[i, j, k]
                div += (ft[i, j, k] - ft[i, j, k - 1]) / dzt[i, j, k]
                new[i, j, k] -= dt * mask[i, j, k] * div
            top = nz - 1
            new[i, j, top] += dt * relax[i, j, top] * (clim[i, j, top] - c[i, j, top])
    new[0] = new[-2]
    new[-1] = new[1]
    return new


def shallow_by_hand(u, v, h, depth, f, drag):
    """`shallow_step` in two passes over the grid: fluxes, vorticity and energy, then the new fields."""
    dt, dx, dy, g, nu = 0.01, 1.0, 1.2, 9.8, 0.1
    nx, ny = h.shape
    flux_u, flux_v = np.zeros_like(u), np.zeros_like(v)
    vorticity, energy = np.zeros_like(h), np.empty_like(h)
    for i in range(nx):
        for j in range(ny):
            here = depth[i, j] + h[i, j]
            if i < nx - 1:
                flux_u[i, j] = 0.5 * (depth[i + 1, j] + h[i + 1, j] + here) * u[i, j]
            if j < ny - 1:
                flux_v[i, j] = 0.5 * (depth[i, j + 1] + h[i, j + 1] + here) * v[i, j]
            if i < nx - 1 and j < ny - 1:
                around = here + depth[i + 1, j] + h[i + 1, j] + depth[i, j + 1] + h[i, j + 1]
                around += depth[i + 1, j + 1] + h[i + 1, j + 1]
                turn = f[i, j] + (v[i + 1, j] - v[i, j]) / dx - (u[i, j + 1] - u[i, j]) / dy
                vorticity[i, j] = turn / (0.25 * around)
            energy[i, j] = g * h[i, j]
            if i > 0 and j > 0:
                energy[i, j] += 0.25 * (u[i, j] ** 2 + u[i - 1, j] ** 2 + v[i, j] ** 2 + v[i, j - 1] ** 2)
    u_new, v_new, h_new = u.copy(), v.copy(), h.copy()
    for i in range(1, nx - 1):
        for j in range(1, ny - 1):
            across = 0.25 * (v[i, j] + v[i + 1, j] + v[i, j - 1] + v[i + 1, j - 1])
            speed = np.sqrt(u[i, j] ** 2 + across**2 + 1e-6)
            u_new[i, j] += dt * (
                0.125
                * (
                    vorticity[i, j] * (flux_v[i, j] + flux_v[i + 1, j])
                    + vorticity[i, j - 1] * (flux_v[i, j - 1] + flux_v[i + 1, j - 1])
                )
                - (energy[i + 1, j] - energy[i, j]) / dx
                - drag[i, j] * speed * u[i, j]
                + nu * (u[i + 1, j] - 2 * u[i, j] + u[i - 1, j]) / dx**2
                + nu * (u[i, j + 1] - 2 * u[i, j] + u[i, j - 1]) / dy**2
            )
            v_new[i, j] += dt * (
                -0.125
                * (
                    vorticity[i, j] * (flux_u[i, j] + flux_u[i, j + 1])
                    + vorticity[i - 1, j] * (flux_u[i - 1, j] + flux_u[i - 1, j + 1])
                )
                - (energy[i, j + 1] - energy[i, j]) / dy
                - drag[i, j] * abs(v[i, j]) * v[i, j]
                + nu * (v[i + 1, j] - 2 * v[i, j] + v[i - 1, j]) / dx**2
                + nu * (v[i, j + 1] - 2 * v[i, j] + v[i, j - 1]) / dy**2
            )
            h_new[i, j] -= dt * (
                (flux_u[i, j] - flux_u[i - 1, j]) / dx + (flux_v[i, j] - flux_v[i, j - 1]) / dy
            )
    return u_new, v_new, h_new
