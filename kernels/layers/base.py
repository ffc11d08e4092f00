"""Analog layers: torch modules whose weights live on cross-point arrays.

A layer's matrix is cut into a grid of tiles. Each tile has its own converters and its own noise management; partial
sums over a row of the grid are added digitally. A convolution is unfolded: every output position is one vector (in
raster order, sample by sample). The forward and backward passes of autograd are the analog ones of the tiles. Where
tiles learn by pulses, a layer keeps the pairs (x, d) of the mini-batch instead of a gradient, and `AnalogSGD` sends
them to the tiles; tiles that only infer have a parameter, which gets the gradient d x^T for any optimizer of torch.

Around the grid stand digital factors (`LayerConfig`). With a range R of the inputs, a learned output scale a and a
mapping scale s, y = a R s (W_a clip(x, -R, R) / R) + b, where W_a is what the tiles hold. Backward multiplies by a R s,
and what is learned from is d a R / s, so that s W_a follows plain SGD; a, R and a digital b are torch parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate, zip_longest
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.arch.contract.digital_work import NOTHING
from rpusim.errors import InputError
from rpusim.kernels.base import rng
from rpusim.kernels.layers.gradient import PairGradient, Pairs, Waiting, in_order, masked, work_of_norm
from rpusim.kernels.layers.matrix.blocks import Splits, checked_splits, cut, group_of_each
from rpusim.kernels.layers.matrix.lost import Lost
from rpusim.kernels.layers.matrix.parameters import ArrayModule
from rpusim.kernels.layers.matrix.product import analog_product
from rpusim.kernels.mvm.input_range import LearnedRange
from rpusim.kernels.tiles.tile import ALONE, LayerConfig, Step

Tensor = torch.Tensor


class AnalogLayer(ArrayModule, ABC):
    """Lay a matrix of ``outputs`` x ``inputs`` on a grid of tiles, with a bias as a further column or digital.

    outputs, inputs:  size of the matrix; ``inputs`` is what one output reads.
    bias:        whether there is one.
    config:      what the tiles are.
    groups:      so many equal parts of the outputs read inputs of their own, each through tiles of its own.
    weight_shape:  the shape of torch's ``weight``; None: (outputs, inputs).
    row_splits, column_splits:  sizes of the blocks of outputs and of inputs (the bias column included); None: as few as
                 the configuration's largest tile allows. A block of outputs lies within one group.
    seed, layer, path, log:  as for `rpusim.kernels.tiles.tile.Tile`.

    Attributes:
    weight, bias:  parameters, as of torch's layer. Where the tiles learn by pulses they stand for what the cells hold
                 (see `layers.gradient`); a digital bias is a plain parameter.
    calls:       how often the layer was called.
    at_work:     the call whose vectors the tiles multiply, or learn from: a number, or (vectors,) numbers.
    lost:        what of the weights that were written last the cells could not hold.
    scale:       the mapping scale s, () or (outputs,).
    out_scale, input_range:  the learned factors; None unless configured.

    InputError: config is no configuration, or splits do not fit.
    """

    bias: Tensor | None
    weight: Tensor
    out_scale: torch.nn.Parameter | None
    scale: Tensor

    def __init__(
        self,
        outputs: int,
        inputs: int,
        bias: bool,
        config: LayerConfig,
        *,
        groups: int = 1,
        weight_shape: tuple[int, ...] | None = None,
        row_splits: Splits | None = None,
        column_splits: Splits | None = None,
        seed: int = 0,
        layer: int = 0,
        path: str = "numba",
        log: ActivityLog | None = None,
    ) -> None:
        super().__init__()
        checks.instance("config", config, LayerConfig)
        self.config, self.layer, self.path, self._seed = config, layer, path, seed
        self.bias_column, self._digital_bias = bias and config.analog_bias, bias and not config.analog_bias
        self.rows, self.columns, self.groups = outputs, inputs + int(self.bias_column), groups
        self.weight_shape = weight_shape or (outputs, inputs)
        self._shapes = {"weight": torch.Size(self.weight_shape), "bias": torch.Size((outputs,))}
        self.row_splits = checked_splits("row_splits", row_splits, self.rows, config.max_rows, groups)
        self.column_splits = checked_splits("column_splits", column_splits, self.columns, config.max_columns)
        self._groups = group_of_each(self.row_splits, groups)
        blocks = [
            (height, width, (row, column))
            for height, row in zip(self.row_splits, accumulate(self.row_splits, initial=0), strict=False)
            for width, column in zip(self.column_splits, accumulate(self.column_splits, initial=0), strict=False)
        ]
        self._grid = [
            config.tile(height, width, seed=seed, layer=layer, tile=index, place=place, path=path, log=log)
            for index, (height, width, place) in enumerate(blocks)
        ]
        self.tiles = torch.nn.ModuleList(self._grid)
        self._by_torch = any(tile.weight is not None for tile in self._grid)
        self._scaled = config.weight_scaling_omega > 0.0
        self.register_buffer("scale", torch.ones((outputs,) if config.weight_scaling_columnwise else ()))
        out_scale = torch.ones((outputs,) if config.out_scaling_columnwise else ())
        self.out_scale = torch.nn.Parameter(out_scale) if config.learn_out_scaling else None
        self.input_range = None if config.input_range is None else LearnedRange(config.input_range)
        self.calls, self.lost = 0, Lost()
        self.at_work: int | NDArray[np.int64] = 0
        self._still: tuple[str, ...] = ()
        """Parts of the tiles' parameters that stay as they are, where torch trains them."""
        self._parts: tuple[str, ...] = () if self._by_torch else ("weight", "bias") if self.bias_column else ("weight",)
        """Names of the parameters that stand for what is on the arrays."""
        self._register_parts({})  # before the digital bias: the order of torch's own layers
        if not self.bias_column or self._by_torch:
            self.register_parameter("bias", torch.nn.Parameter(torch.zeros(outputs)) if self._digital_bias else None)

    @property
    def has_bias(self) -> bool:
        """Whether there is a bias, in a column or digital."""
        return self.bias_column or self._digital_bias

    @property
    def learns(self) -> bool | None:
        """Whether pulses change the weights; None where torch trains them."""
        return any(getattr(self, name).requires_grad for name in self._parts) if self._parts else None

    def part_shape(self, name: str) -> torch.Size:
        """Return the shape that torch gives ``weight`` or ``bias``."""
        return self._shapes[name]

    def part(self, name: str) -> Tensor:
        """Read ``weight`` or ``bias`` as the tiles hold it, in the shape that torch gives it; a copy."""
        weight, bias = self.get_weights()
        found = weight if name == "weight" else bias
        assert found is not None, "a layer without a bias"
        return found.reshape(self.part_shape(name))

    def part_gradient(self, name: str, x: Tensor, d: Tensor) -> Tensor:
        """Compute the gradient of ``weight`` or ``bias``, in the shape that torch gives it.

        x, d: vectors (vectors, groups x columns) and errors (vectors, rows).
        """
        tiles = iter([tile.gradient(*pair) for tile, pair in zip(self._grid, self._pairs_of_tiles(x, d), strict=True)])
        matrix = torch.cat([torch.cat([next(tiles) for _ in self.column_splits], 1) for _ in self.row_splits], 0)
        last = self.columns - int(self.bias_column)
        return (matrix[:, last] if name == "bias" else matrix[:, :last]).reshape(self.part_shape(name))

    def used_outside(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Do what a function of torch asks of the weights outside of forward, if arrays can do that.

        func, args, kwargs: as torch gives them to a tensor's own way to handle functions. Returns None if they cannot.
        """
        return None

    def learn_as(self, weight: Tensor, bias: Tensor | None) -> None:
        """Learn, or stay frozen, as the parameters of the torch layer that this one stands in for.

        weight, bias: tensors whose ``requires_grad`` counts, or parts of such.
        """
        learns = {"weight": weight.requires_grad, "bias": bias is not None and bias.requires_grad}
        for name in self._parts:
            getattr(self, name).requires_grad_(learns[name])
        if self._digital_bias and self.bias is not None:
            self.bias.requires_grad_(learns["bias"])
        on_tiles = learns if self.bias_column else {"weight": learns["weight"]}
        self._still = tuple(name for name, value in on_tiles.items() if not value)
        for parameter in self.trained:
            parameter.requires_grad_(any(on_tiles.values()))

    @property
    def trained(self) -> list[torch.nn.Parameter]:
        """The tiles' weights, where torch trains them; empty where they learn by pulses."""
        return [tile.weight for tile in self._grid if tile.weight is not None] if self._by_torch else []

    @property
    def log(self) -> ActivityLog | None:
        """Where the tiles write what they did; setting it sets it for all of them."""
        return self._grid[0].log

    @log.setter
    def log(self, log: ActivityLog | None) -> None:
        for tile in self._grid:
            tile.log = log

    def set_weights(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Write the logical weights (outputs, inputs) and bias (outputs,), limited by the cells' bounds.

        InputError: another size, or numbers that are not finite.
        """
        expected = self.columns - int(self.bias_column)
        if len(weight) != self.rows or weight.numel() != self.rows * expected:
            raise InputError(
                f"weight: a shape of {tuple(weight.shape)} was given; "
                f"accepted are {self.rows} outputs x {expected} inputs"
            )
        weight = weight.detach().reshape(self.rows, -1).to(self.scale.device, torch.float32)
        for name, given in (("weight", weight), ("bias", bias)):
            if given is not None and not bool(torch.isfinite(given).all()):
                raise InputError(f"{name}: NaN or infinite numbers were given; accepted are finite numbers")
        if self.bias_column:
            column = weight.new_zeros(self.rows) if bias is None else bias.detach().to(weight)
            weight = torch.cat([weight, column[:, None]], dim=1)
        elif bias is not None and self.bias is not None:
            with torch.no_grad():
                self.bias.copy_(bias)
        with torch.no_grad():
            if self._scaled:
                largest = weight.abs().amax(dim=1 if self.scale.dim() else (0, 1)) / self.config.weight_scaling_omega
                live = largest[largest > 0.0]
                # Rows without weights, such as pruned ones, are read as finely as the others.
                self.scale.copy_(torch.where(largest > 0.0, largest, live.median() if len(live) else 1.0))
            if self.out_scale is not None:
                self.out_scale.fill_(1.0)
            scale = self.scale.expand(self.rows)[:, None]
            # What torch trains are the weights themselves; what learns by pulses are those of the arrays.
            written = weight if self._by_torch else weight / scale
        for tile, block, factor in zip(
            self._grid, self._blocks(written), self._blocks(scale.expand(-1, self.columns)), strict=True
        ):
            tile.set_mapping(factor[:, 0])
            tile.set_weights(block)
        self.lost = Lost.of(weight, torch.cat(self._rows(), 0) * (1.0 if self._by_torch else scale))

    def get_weights(self) -> tuple[Tensor, Tensor | None]:
        """Read the logical weights (outputs, inputs) and bias (outputs,), as the tiles hold them, exactly."""
        matrix = torch.cat(self._rows(), 0)
        if self._scaled and not self._by_torch:
            matrix = matrix * self.scale.reshape(-1, 1)
        if self.out_scale is not None:
            matrix = matrix * self.out_scale.detach().reshape(-1, 1)
        if self.bias_column:
            return matrix[:, :-1], matrix[:, -1].clone()
        return matrix, None if self.bias is None else self.bias.detach().clone()

    def analog_forward(self, x: Tensor, step: Step = ALONE, phase: Phase = Phase.FORWARD) -> Tensor:
        """Multiply x (vectors, groups x columns) -> (vectors, rows) on the grid; partial sums in floating point.

        step:   which step of a sequence the vectors are.
        phase:  for the log; BACKWARD where the weights are used transposed and x are errors.
        """
        if len(self._grid) == 1:
            y = self._grid[0].forward(x, step, phase)
            return y * self.scale if self._scaled else y
        parts = self._inputs(x)
        grid, width = iter(self._grid), len(self.column_splits)
        rows = []
        for group in self._groups:
            total = next(grid).forward(parts[group * width], step, phase)
            for part in parts[group * width + 1 : (group + 1) * width]:
                total = total + next(grid).forward(part, step, phase)
            rows.append(total)
        y = rows[0] if len(rows) == 1 else torch.cat(rows, dim=1)
        return y * self.scale if self._scaled else y

    def analog_backward(
        self,
        d: Tensor,
        step: Step = ALONE,
        clipped: Iterable[Tensor | None] = (),
        phase: Phase = Phase.BACKWARD,
    ) -> Tensor:
        """Multiply d (vectors, rows) -> (vectors, groups x columns) by the transposed grid.

        step:     which step of a sequence the vectors are.
        clipped:  for every tile its outputs (vectors, rows) that send nothing back, or None.
        phase:    for the log; FORWARD where the weights are used transposed and d are no errors.
        """
        if self._scaled:
            d = d * self.scale
        if len(self._grid) == 1:
            silent = next(iter(clipped), None)
            return self._grid[0].backward(d if silent is None else d.masked_fill(silent, 0.0), step, phase)
        grid, width = zip_longest(self._grid, clipped), len(self.column_splits)
        columns: list[Tensor | None] = [None] * (width * self.groups)
        for group, error in zip(self._groups, cut(d, self.row_splits), strict=True):
            for column in range(group * width, (group + 1) * width):
                tile, silent = next(grid)
                part = error if silent is None else error.masked_fill(silent, 0.0)
                result, so_far = tile.backward(part, step, phase), columns[column]
                columns[column] = result if so_far is None else so_far + result
        gathered = cast(list[Tensor], columns)
        return gathered[0] if len(gathered) == 1 else torch.cat(gathered, dim=1)

    def pulsed_update(self, rates: Mapping[str, float]) -> None:
        """Send the pairs that the gradients of ``weight`` and ``bias`` hold to the tiles as pulses.

        They come in the order of the forward passes, sample by sample.

        rates: learning rates of the parts that learn.

        InputError: a gradient is not made of pairs.
        """
        rate = max(rates.values(), default=0.0)
        if not rate:
            return
        todo = self._usual(rates, rate) or self.waiting({name: given / rate for name, given in rates.items()})
        if todo is not None:
            vars(self)["at_work"] = todo.calls
            self.send(todo.x, todo.d, rate, todo.measured)

    def _usual(self, rates: Mapping[str, float], rate: float) -> Waiting | None:
        """Return the pairs of a single backward pass that all parts have alike, the usual case; None: it is another."""
        found: Pairs | None = None
        for name in self._parts:
            gradient: Any = self._parameters[name].grad  # type: ignore[union-attr]
            if type(gradient) is not PairGradient or gradient.layer is not self or rates.get(name) != rate:
                return None
            if len(gradient.terms) != 1:
                return None
            pairs, factor = gradient.terms[0]
            if factor != 1.0 or (found is not None and pairs is not found):
                return None
            found = pairs
        if found is None:
            return None
        return Waiting(found.x, found.d, found.measured, np.full(found.x.shape[0], found.call))

    def send(self, x: Tensor, d: Tensor, rate: float, measured: bool = False) -> None:
        """Let the tiles learn from vectors x (vectors, groups x columns) and errors d (vectors, rows), in their order.

        rate: learning rate. measured: whether the norm of their gradient was computed before.
        """
        d = d / self.scale if self._scaled else d
        if len(self._grid) == 1 and not measured:
            self._grid[0].update(x, d, rate)
            return
        for tile, (x_part, d_part) in zip(self._grid, self._pairs_of_tiles(x, d), strict=True):
            tile.update(x_part, d_part, rate, work_of_norm(tile.rows, tile.columns, len(d)) if measured else NOTHING)

    def waiting(self, factors: Mapping[str, float]) -> Waiting | None:
        """Gather the pairs that the gradients of ``weight`` and ``bias`` hold, in the order in which they are sent.

        factors: by name, what each gradient is multiplied by; 0 for those not named. Returns None if there are none.
        """
        parts = {}
        for name in self._parts:
            gradient = self._handle(name).grad
            if gradient is not None and not isinstance(gradient, PairGradient):
                raise InputError(
                    f"layer {self.layer}: the gradient of its {name} is not made of inputs and errors alone (a penalty "
                    "or a hook has changed its elements), but arrays learn from those; accepted: one factor for the "
                    "whole gradient, and penalties on digital parameters (rpusim.digital_parameters(model))"
                )
            parts[name] = (gradient, factors.get(name, 0.0))
        return in_order(parts, self.groups)

    def weight_gradients(self, x: Tensor, d: Tensor) -> list[Tensor]:
        """Compute the gradients of the tiles' parameters, each (rows, columns) of its tile.

        x, d: vectors (vectors, groups x columns) and errors (vectors, rows).
        """
        if self._still:
            x = masked(x, self.groups, {name: float(name not in self._still) for name in ("weight", "bias")})
        return [tile.gradient(*pair) for tile, pair in zip(self._grid, self._pairs_of_tiles(x, d), strict=True)]

    def end_mini_batch(self) -> None:
        """Let the cells diffuse and decay by one mini-batch."""
        for tile in self._grid:
            tile.end_mini_batch()

    @abstractmethod
    def vectors_of(self, x: Tensor) -> Tensor:
        """Turn an input of the layer into what drives the columns: (vectors, groups x columns), float32, contiguous."""

    @abstractmethod
    def input_of(self, vectors: Tensor, shape: torch.Size) -> Tensor:
        """Turn the gradient of `vectors_of` (vectors, groups x columns) into that of the input, of this shape."""

    def _start(self, bias: bool, bound: float | None = None) -> None:
        """Write uniform weights up to ``bound``; None: torch's for linear and convolution layers, 1/sqrt(inputs)."""
        inputs = self.columns - int(self.bias_column)
        base = rng.key(self._seed, self.layer, rng.Purpose.INITIAL_WEIGHTS)
        start = (rng.uniform_matrix(base, 0, self.rows, inputs + 1) * 2.0 - 1.0) * (bound or inputs**-0.5)
        self.set_weights(start[:, :-1], start[:, -1] if bias else None)

    def _pairs_of_tiles(self, x: Tensor, d: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Cut pairs into the part of each tile."""
        if len(self._grid) == 1:
            return [(x, d)]
        parts, width = self._inputs(x), len(self.column_splits)
        errors = zip(self._groups, cut(d, self.row_splits), strict=True)
        return [(part, d_part) for group, d_part in errors for part in parts[group * width : (group + 1) * width]]

    def _rows(self) -> list[Tensor]:
        """Read the blocks of rows (rows of the block, columns), as the tiles hold them."""
        grid, width = self._grid, len(self.column_splits)
        return [torch.cat([t.get_weights() for t in grid[r : r + width]], 1) for r in range(0, len(grid), width)]

    def _blocks(self, matrix: Tensor) -> list[Tensor]:
        rows = matrix.split_with_sizes(self.row_splits, 0)
        return [block for row in rows for block in row.split_with_sizes(self.column_splits, 1)]

    def _inputs(self, vectors: Tensor) -> list[Tensor]:
        """Cut vectors into what the tiles of each group read, group after group."""
        return cut(vectors, self.column_splits if self.groups == 1 else self.column_splits * self.groups)

    def _product(self, x: Tensor, step: Step = ALONE) -> Tensor:
        """Compute the outputs (vectors, rows) for an input of the layer, beside torch.compile if that is at work."""
        if torch._C._dynamo.eval_frame.get_eval_frame_callback() is None:
            return self._multiplied(x, step)
        disable: Callable[..., Callable[..., Tensor]] = torch.compiler.disable
        return disable(AnalogLayer._multiplied)(self, x, step)

    def _multiplied(self, x: Tensor, step: Step) -> Tensor:
        """Compute the outputs (vectors, rows) for an input of the layer, so that autograd can go back."""
        if not x.is_floating_point():
            raise InputError(
                f"layer {self.layer}: an input of {x.dtype} was given; accepted are floating-point numbers"
            )
        self._check_transforms(x)
        given = x.dtype
        # They also make autograd call backward where the input needs no gradient, as in the first layer.
        handles: list[Tensor | None] = [self._handle(name) for name in self._parts]
        handles += [None] * (2 - len(handles))
        clipped: list[Tensor | None] = []
        if self.input_range is None:
            y = analog_product(x, *handles, self, step, clipped, *self.trained)
        else:
            x, limit = self.input_range(x.float() if x.dtype.itemsize < 4 else x, clipped)
            y = analog_product(x, *handles, self, step, clipped, *self.trained) * limit
        if self.out_scale is not None:
            y = y * self.out_scale
        bias = self.bias if self._digital_bias else None
        if bias is not None:
            y = y + bias
        return y if y.dtype is given else y.to(given)
