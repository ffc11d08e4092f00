"""Convolutions of every kind: perfect analog is torch, groups stand on arrays of their own."""

from dataclasses import replace

import pytest
import torch
from perfect import PERFECT, assert_trains_alike
from torch import nn

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels import AnalogConv1d, AnalogConv2d, AnalogConv3d

SIZES = (9, 8, 7)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d, nn.Conv3d])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 2, "dilation": 2, "groups": 2},
        {"kernel_size": 3, "groups": 4, "bias": False},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 2, "padding": "same", "dilation": 3},
        {"kernel_size": 2, "padding": "valid"},
        {"kernel_size": 3, "padding": 2, "padding_mode": "circular", "stride": 2},
        {"kernel_size": 3, "padding": "same", "padding_mode": "replicate", "groups": 2},
        {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    ],
    ids=str,
)
def test_a_perfect_analog_convolution_trains_like_torchs(kind, options):
    torch.manual_seed(0)
    digital = kind(4, 8, **options)
    axes = digital.weight.dim() - 2
    x = torch.randn(2, 4, *SIZES[:axes])
    for config in (PERFECT, replace(PERFECT, analog_bias=False, weight_scaling_omega=0.5)):
        assert_trains_alike(digital, config, x)


@pytest.mark.parametrize("path", ["numba", "torch"])
@pytest.mark.parametrize("bias", [True, False])
def test_tiles_of_a_grouped_convolution_lie_within_its_groups_and_change_nothing(path, bias):
    torch.manual_seed(0)
    digital = nn.Conv2d(6, 12, 3, groups=3, bias=bias)
    config = replace(PERFECT, max_rows=3, max_columns=8)
    x = torch.randn(2, 6, 5, 4)
    analog = assert_trains_alike(digital, config, x, path=path)
    assert analog.row_splits == (2, 2) * 3 and analog.column_splits == ((7, 6, 6) if bias else (6, 6, 6))
    assert len(analog.tiles) == 6 * 3


def test_every_group_drives_only_its_own_arrays():
    log = ActivityLog()
    layer = AnalogConv2d(2, 4, 1, PERFECT, groups=2, bias=False, log=log)
    x = torch.zeros(1, 2, 1, 3)
    x[0, 1, 0, 0] = 1.0
    layer(x)
    rows = log.take()
    forward = rows.select(rows.phase == Phase.FORWARD)
    assert [tuple(forward.active_columns[forward.tile == tile]) for tile in (0, 1)] == [(0, 0, 0), (1, 0, 0)]
    assert set(forward.active_rows) == {2}


@pytest.mark.parametrize("kind", [AnalogConv1d, AnalogConv2d, AnalogConv3d])
def test_a_single_sample_needs_no_axis_of_samples(kind):
    layer = kind(2, 3, 2, PERFECT)
    x = torch.randn(2, *SIZES[: kind.axes])
    assert torch.equal(layer(x), layer(x.unsqueeze(0))[0])


def test_output_size_is_that_of_the_output():
    layer = AnalogConv3d(1, 1, (2, 3, 1), PERFECT, padding=(1, 0, 2), padding_mode="circular", stride=(2, 1, 1))
    assert layer(torch.randn(1, 1, 4, 5, 6)).shape[2:] == layer.output_size(4, 5, 6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AnalogConv1d(3, 4, 2, PERFECT, groups=2), "groups: 2 was given for 3 channels in and 4 out; accepted"),
        (lambda: AnalogConv1d(4, 4, 2, PERFECT, groups=0), "groups: 0 was given; accepted is an integer >= 1"),
        (lambda: AnalogConv2d(4, 4, (2, 2, 2), PERFECT), r"kernel_size: \(2, 2, 2\) was given; accepted is .* or 2"),
        (lambda: AnalogConv2d(4, 4, 2, PERFECT, padding="full"), "padding: 'full' was given; accepted are numbers"),
        (lambda: AnalogConv2d(4, 4, 2, PERFECT, padding="same", stride=2), "padding: 'same' was given with stride"),
        (lambda: AnalogConv2d(4, 4, 2, PERFECT, padding_mode="wrap"), "padding_mode: 'wrap' was given; accepted are"),
        (lambda: AnalogConv3d(2, 4, 2, PERFECT)(torch.rand(3, 2, 5, 5)), "accepted is .samples, 2, depth, height"),
        (lambda: AnalogConv1d(1, 1, 9, PERFECT)(torch.rand(1, 1, 8)), "an image of 8 was given"),
        (
            lambda: AnalogConv2d(2, 4, 1, PERFECT, groups=2, row_splits=(3, 1)),
            r"row_splits: \(3, 1\) was given; accepted are blocks within groups of 2 outputs",
        ),
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()
