"""Matrix products in compiled loops, several rows at a time so that what was loaded is used more than once.

Sums of floats are added up in an order that the compiler chooses once, whatever the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from rpusim.kernels.base.loops import Floats, Loop

_F = np.float32
REORDERED = {"reassoc", "contract", "nsz"}
"""Liberties that the compiler may take with the sums of this file: their order, and fused multiply-adds."""

# Columns whose sums stay in the nearest cache while rows are added to them.
_STRIP = 512


# Injected by `compile_loop`; named here for the reader and for type checkers.
product: Any = None

_BLOCK = 64
"""Vectors that a thread multiplies at a time: an even number, so that pairs stay together."""


def in_blocks(u: Floats, weights: Floats, y: Floats) -> None:
    """Do a product block by block of vectors, on all threads; the bits are those of one after the other."""
    for block in prange((len(u) + _BLOCK - 1) // _BLOCK):
        product(u[block * _BLOCK : (block + 1) * _BLOCK], weights, y[block * _BLOCK : (block + 1) * _BLOCK])


def forward(u: Floats, weights: Floats, y: Floats) -> None:
    """Multiply u (vectors, inputs) by weights (outputs, inputs) transposed, into y (vectors, outputs)."""
    vectors, outputs, inputs = u.shape[0], weights.shape[0], weights.shape[1]
    paired, whole = vectors - vectors % 2, outputs - outputs % 4
    for i in range(0, whole if vectors > 1 else 0, 4):
        w0, w1, w2, w3 = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        for b in range(0, paired, 2):
            one, two = u[b], u[b + 1]
            a0 = a1 = a2 = a3 = c0 = c1 = c2 = c3 = _F(0)
            for j in range(inputs):
                p, q = one[j], two[j]
                a0 += p * w0[j]
                a1 += p * w1[j]
                a2 += p * w2[j]
                a3 += p * w3[j]
                c0 += q * w0[j]
                c1 += q * w1[j]
                c2 += q * w2[j]
                c3 += q * w3[j]
            y[b, i], y[b, i + 1], y[b, i + 2], y[b, i + 3] = a0, a1, a2, a3
            y[b + 1, i], y[b + 1, i + 1], y[b + 1, i + 2], y[b + 1, i + 3] = c0, c1, c2, c3
    for b in range(vectors):
        one = u[b]
        for i in range(0 if b >= paired or vectors == 1 else whole, outputs):
            line, total = weights[i], _F(0)
            for j in range(inputs):
                total += one[j] * line[j]
            y[b, i] = total


def backward(d: Floats, weights: Floats, z: Floats) -> None:
    """Multiply d (vectors, outputs) by weights (outputs, inputs), into z (vectors, inputs)."""
    vectors, outputs, inputs = d.shape[0], weights.shape[0], weights.shape[1]
    fours, whole = vectors - vectors % 4, outputs - outputs % 4
    for left in range(0, inputs, _STRIP):
        right = min(inputs, left + _STRIP)
        for b in range(0, fours, 4):
            z0, z1, z2, z3 = z[b, left:right], z[b + 1, left:right], z[b + 2, left:right], z[b + 3, left:right]
            for j in range(right - left):
                z0[j] = z1[j] = z2[j] = z3[j] = _F(0)
            for i in range(0, whole, 4):
                w0, w1 = weights[i, left:right], weights[i + 1, left:right]
                w2, w3 = weights[i + 2, left:right], weights[i + 3, left:right]
                d0, d1, d2, d3 = d[b, i], d[b, i + 1], d[b, i + 2], d[b, i + 3]
                e0, e1, e2, e3 = d[b + 1, i], d[b + 1, i + 1], d[b + 1, i + 2], d[b + 1, i + 3]
                f0, f1, f2, f3 = d[b + 2, i], d[b + 2, i + 1], d[b + 2, i + 2], d[b + 2, i + 3]
                g0, g1, g2, g3 = d[b + 3, i], d[b + 3, i + 1], d[b + 3, i + 2], d[b + 3, i + 3]
                for j in range(right - left):
                    p, q, r, s = w0[j], w1[j], w2[j], w3[j]
                    z0[j] += d0 * p + d1 * q + d2 * r + d3 * s
                    z1[j] += e0 * p + e1 * q + e2 * r + e3 * s
                    z2[j] += f0 * p + f1 * q + f2 * r + f3 * s
                    z3[j] += g0 * p + g1 * q + g2 * r + g3 * s
            for i in range(whole, outputs):
                line, d0, e0, f0, g0 = weights[i, left:right], d[b, i], d[b + 1, i], d[b + 2, i], d[b + 3, i]
                for j in range(right - left):
                    z0[j] += d0 * line[j]
                    z1[j] += e0 * line[j]
                    z2[j] += f0 * line[j]
                    z3[j] += g0 * line[j]
    for b in range(fours, vectors):
        sums = z[b]
        for j in range(inputs):
            sums[j] = _F(0)
        for i in range(0, whole, 4):
            w0, w1, w2, w3 = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
            d0, d1, d2, d3 = d[b, i], d[b, i + 1], d[b, i + 2], d[b, i + 3]
            for j in range(inputs):
                sums[j] += d0 * w0[j] + d1 * w1[j] + d2 * w2[j] + d3 * w3[j]
        for i in range(whole, outputs):
            line, d0 = weights[i], d[b, i]
            for j in range(inputs):
                sums[j] += d0 * line[j]


def descend(weights: Floats, x: Floats, d: Floats, rate: np.float32) -> None:
    """Subtract ``rate`` times the sum of d x^T: x (vectors, inputs), d (vectors, outputs), weights in place."""
    vectors, inputs = x.shape
    fours = vectors - vectors % 4
    for i in prange(weights.shape[0]):
        line = weights[i]
        for b in range(0, fours, 4):
            x0, x1, x2, x3 = x[b], x[b + 1], x[b + 2], x[b + 3]
            d0, d1, d2, d3 = rate * d[b, i], rate * d[b + 1, i], rate * d[b + 2, i], rate * d[b + 3, i]
            for j in range(inputs):
                line[j] -= d0 * x0[j] + d1 * x1[j] + d2 * x2[j] + d3 * x3[j]
        for b in range(fours, vectors):
            x0, d0 = x[b], rate * d[b, i]
            for j in range(inputs):
                line[j] -= d0 * x0[j]


FORWARD, BACKWARD = Loop(forward, fastmath=REORDERED), Loop(backward, fastmath=REORDERED)
"""The same, compiled on first use."""
