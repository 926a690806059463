"""A fluid in a box that wraps around: velocities that carry smoke to a place (Stam, Stable Fluids)."""

import numpy as np

n = 12
x, y = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
smoke = np.exp(-((x - 4.0) ** 2 + (y - 4.0) ** 2) / 4.0)
target = np.exp(-((x - 6.0) ** 2 + (y - 7.0) ** 2) / 4.0)


def start():
    rng = np.random.default_rng(0)
    return 0.1 * rng.normal(size=(n, n)), 0.1 * rng.normal(size=(n, n)), np.array(1.0)


def project(u, v):
    """Without what flows in or out, by Jacobi iterations."""
    div = 0.5 * (
        np.roll(u, -1, axis=0) - np.roll(u, 1, axis=0) + np.roll(v, -1, axis=1) - np.roll(v, 1, axis=1)
    )
    p = np.zeros((n, n))
    for _ in range(8):
        p = (
            np.roll(p, 1, axis=0)
            + np.roll(p, -1, axis=0)
            + np.roll(p, 1, axis=1)
            + np.roll(p, -1, axis=1)
            - div
        ) / 4
    u = u - 0.5 * (np.roll(p, -1, axis=0) - np.roll(p, 1, axis=0))
    return u, v - 0.5 * (np.roll(p, -1, axis=1) - np.roll(p, 1, axis=1))


def advect(f, u, v):
    """``f`` carried along, read by linear interpolation where it came from."""
    from_x, from_y = x - u, y - v
    left, top = np.floor(from_x), np.floor(from_y)
    a, b = from_x - left, from_y - top
    i, j = left.astype(int) % n, top.astype(int) % n
    i2, j2 = (i + 1) % n, (j + 1) % n
    return (1 - a) * ((1 - b) * f[i, j] + b * f[i, j2]) + a * ((1 - b) * f[i2, j] + b * f[i2, j2])


def loss(unknown):
    u, v, amount = unknown
    now = amount * smoke
    for _ in range(4):
        u, v = project(u, v)
        u, v, now = advect(u, u, v), advect(v, u, v), advect(now, u, v)
    return np.mean((now - target) ** 2)
