"""A convolution's vectors are those of torch's unfold, and their sum is that of torch's fold, to the bit."""

import itertools

import pytest
import torch
from torch.nn import functional

from rpusim.kernels.layers.patches import Window

WINDOWS = [
    Window(*sides)
    for sides in itertools.product(((3, 3), (2, 4)), ((1, 1), (2, 3)), ((0, 0), (1, 2)), ((1, 1), (2, 1)))
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_vectors_are_the_windows_of_all_positions_and_images_their_sum(window):
    x, sides = torch.randn(3, 2, 9, 11), (window.kernel, window.dilation, window.padding, window.stride)
    unfolded = functional.unfold(x, *sides).transpose(1, 2)
    expected = unfolded.reshape(-1, unfolded.shape[2])
    assert len(expected) == 3 * window.positions(9, 11)[0] * window.positions(9, 11)[1]
    assert torch.equal(window.vectors(x, bias=False), expected)
    with_bias = window.vectors(x, bias=True)
    assert torch.equal(with_bias[:, :-1], expected) and bool((with_bias[:, -1] == 1).all())
    vectors = torch.randn_like(with_bias)
    folded = functional.fold(vectors[:, :-1].reshape(unfolded.shape).transpose(1, 2), (9, 11), *sides)
    assert torch.equal(window.images(vectors, x.shape), folded)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_both_paths_give_the_same_bits_over_any_number_of_axes(axes, bias):
    window = Window((2, 3, 2)[:axes], (2, 1, 2)[:axes], (1, 2, 0)[:axes], (1, 2, 3)[:axes])
    x = torch.randn(2, 3, *(5, 7, 6)[:axes])
    vectors = window.vectors(x, bias)
    assert torch.equal(vectors, window.vectors(x, bias, path="torch"))
    values = torch.randn_like(vectors)
    assert torch.equal(window.images(values, x.shape), window.images(values, x.shape, path="torch"))
    places = (*window.kernel, 3)
    inside = torch.nn.functional.pad(x, [p for p in window.padding[::-1] for _ in (0, 1)])
    corner = inside[(0, slice(None), *(slice(0, k * d, d) for k, d in zip(places, window.dilation, strict=False)))]
    assert torch.equal(vectors[0, : corner.numel()], corner.ravel())


def test_images_of_any_layout_and_precision_are_taken():
    window = Window((3, 3), (1, 1), (1, 1), (1, 1))
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64).permute(0, 3, 1, 2)
    assert torch.equal(window.vectors(x, True), window.vectors(x.float().contiguous(), True))
