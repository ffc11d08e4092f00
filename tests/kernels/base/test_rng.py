"""Random numbers: the same bits from both writings, the right distributions, and nothing in common between places."""

import numpy as np
import pytest
import torch
from numba import njit
from scipy import stats

from rpusim.kernels.base import rng

SHAPE = (4, 60, 500)  # steps, rows, columns


@njit
def _numba_numbers(base, steps, pulse, bits, uniform, normal):
    for s in range(bits.shape[0]):
        word_a, word_b = rng.nb_step_words(base, steps[s])
        for i in range(bits.shape[1]):
            a, b = rng.nb_line_words(word_a, word_b, i, pulse)
            for j in range(bits.shape[2]):
                random = rng.nb_bits(a, b, j)
                bits[s, i, j], uniform[s, i, j], normal[s, i, j] = random, rng.nb_uniform(random), rng.nb_normal(random)


def _torch_bits(base, pulse, shape=SHAPE):
    words = rng.torch_words(base, np.arange(shape[0], dtype=np.int64))[:, None, None]
    return rng.bits(words, torch.arange(shape[1])[:, None], torch.arange(shape[2]), pulse)


@pytest.mark.parametrize(("base", "pulse"), [(rng.key(1, 2), 0), (rng.key(0), 30), (2**64 - 1, 65)])
def test_torch_and_numba_give_the_same_bits_uniform_and_normal_numbers(base, pulse):
    bits, uniform, normal = (np.empty(SHAPE, kind) for kind in (np.uint32, np.float32, np.float32))
    _numba_numbers(np.uint64(base), np.arange(SHAPE[0], dtype=np.int64), pulse, bits, uniform, normal)
    random = _torch_bits(base, pulse)
    assert np.array_equal(random.numpy(), bits)
    assert np.array_equal(rng.uniform(random).numpy(), uniform)
    assert np.array_equal(rng.normal(random).numpy(), normal)


def test_numbers_follow_their_distributions():
    random = _torch_bits(rng.key(3), 7)
    uniform, normal = rng.uniform(random).numpy().ravel(), rng.normal(random).numpy().ravel().astype(float)
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert stats.kstest(normal, "norm").pvalue > 1e-3
    assert uniform.min() >= 0.0 and uniform.max() < 1.0
    n = len(normal)
    assert abs(normal.mean()) < 4 / n**0.5
    assert normal.var() == pytest.approx(1, abs=4 * (2 / n) ** 0.5)
    assert (normal**4).mean() == pytest.approx(3, abs=4 * (96 / n) ** 0.5)


def test_normal_tails_are_those_of_the_normal_distribution():
    random = torch.cat([_torch_bits(rng.key(4), pulse, (4, 500, 500)).ravel() for pulse in range(4)])
    normal = rng.normal(random).numpy()
    for limit in (2.0, 3.0, 4.0, 4.5):
        expected = len(normal) * 2 * stats.norm.sf(limit)
        assert abs((np.abs(normal) > limit).sum() - expected) < 4 * expected**0.5


def test_extreme_bits_give_finite_normal_numbers_up_to_six_sigma():
    edge = torch.tensor([0, 1, 2**31 - 1, 2**31, 2**32 - 1])
    assert torch.isfinite(rng.normal(edge)).all()
    assert float(rng.normal(edge).abs().max()) == pytest.approx((2 * 33 * np.log(2)) ** 0.5, rel=1e-5)


def test_neighbouring_places_are_uncorrelated():
    base = rng.key(5)
    normal = rng.normal(_torch_bits(base, 0)).numpy()
    other_pulse = rng.normal(_torch_bits(base, 1)).numpy()
    other_purpose = rng.normal(_torch_bits(rng.key(6), 0)).numpy()
    pairs = {
        "columns": (normal[:, :, :-1], normal[:, :, 1:]),
        "rows": (normal[:, :-1], normal[:, 1:]),
        "steps": (normal[:-1], normal[1:]),
        "pulses": (normal, other_pulse),
        "purposes": (normal, other_purpose),
        "transposed": (normal[:, :60, :60], normal[:, :60, :60].transpose(0, 2, 1) * (1 - np.eye(60))),
    }
    for name, (left, right) in pairs.items():
        assert abs((left * right).mean()) < 4.5 / left.size**0.5, name
        assert abs(((left**2 - 1) * (right**2 - 1))[right != 0].mean()) < 4.5 * 2 / left.size**0.5, name


def test_every_key_bit_follows_every_word_bit():
    reference = rng.key(11, 12, 13)
    for place in range(3):
        for bit in (0, 1, 7, 31):
            words = [11, 12, 13]
            words[place] ^= 1 << bit
            assert 16 <= bin(rng.key(*words) ^ reference).count("1") <= 48
    assert rng.key(1, 2) != rng.key(2, 1) and rng.key(0) != rng.key(0, 0)
