"""Views of arrays whose holders are not counted."""

import sys

import numpy as np
import pytest

from rpusim.arch.contract.compiled_loops import compiled
from rpusim.arch.contract.uncounted import uncounted


@compiled
def _view(array):
    return uncounted(array)


@pytest.mark.parametrize("shape, kind", [((7,), np.int32), ((3, 5), np.int64), ((2, 3, 4), np.float64)])
def test_a_view_is_the_array_and_holds_nothing(shape, kind):
    array = np.arange(np.prod(shape), dtype=kind).reshape(shape)
    held = sys.getrefcount(array)
    view = _view(array)
    assert sys.getrefcount(array) == held
    assert view.base is None
    assert view.dtype == array.dtype
    np.testing.assert_array_equal(view, array)
    view[-1] = 0
    assert not array[-1].any()


def test_a_view_of_a_part_has_the_part_s_strides():
    array = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(_view(array[::2, 1::2]), [[1, 3], [9, 11]])
