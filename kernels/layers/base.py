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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate, zip_longest
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.arch.contract.digital_work import NOTHING
from rpusim.errors import InputError
from rpusim.kernels.base import rng
from rpusim.kernels.layers.gradient import (
    ArrayWeights,
    PairGradient,
    Pairs,
    Waiting,
    in_order,
    masked,
    second_derivative,
    work_of_norm,
)
from rpusim.kernels.mvm.input_range import LearnedRange
from rpusim.kernels.tiles.tile import ALONE, LayerConfig, Step

Tensor = torch.Tensor
_TRACED = (FakeTensor, FunctionalTensor)  # what torch.export sends through a module
Splits = tuple[int, ...]


def balanced_split(size: int, limit: int) -> Splits:
    """Cut ``size`` lines into the fewest blocks of at most ``limit``, equal to within one; returns their sizes.

    >>> balanced_split(10, 4)
    (4, 3, 3)
    """
    checks.integer("limit", limit, low=1)
    blocks = max(1, -(-size // limit))
    return tuple(size // blocks + (1 if block < size % blocks else 0) for block in range(blocks))


class _AnalogProduct(torch.autograd.Function):
    """Let autograd multiply on the tiles: y = W x of all vectors in x, and backwards W^T d if the input wants it.

    Backwards, pairs are the gradients of ``weight`` and ``bias`` where tiles learn by pulses; else they make those of
    ``weights``, the tiles' parameters.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        layer: AnalogLayer,
        step: Step,
        clipped: list[Tensor | None],
        *weights: Tensor,
    ) -> Tensor:
        vectors = layer.vectors_of(x)
        ctx.layer, ctx.shape, ctx.step, ctx.call = layer, x.shape, step, layer.calls
        over = step.number == step.steps - 1  # a sequence that is fed step by step is one call
        vars(layer).update(calls=layer.calls + over, at_work=ctx.call)  # a module's own way to set it takes long
        ctx.save_for_backward(vectors)
        y = layer.analog_forward(vectors, step)
        clipped[:] = [tile.clipped for tile in layer._grid]
        ctx.clipped = clipped
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (vectors,) = ctx.saved_tensors
        layer: AnalogLayer = ctx.layer
        if torch.is_grad_enabled():
            raise second_derivative(layer.layer)
        d = gradients[0].contiguous()
        vars(layer)["at_work"] = ctx.call
        wanted = ctx.needs_input_grad[0]
        back = layer.input_of(layer.analog_backward(d, ctx.step, ctx.clipped), ctx.shape) if wanted else None
        if layer.trained:
            return back, None, None, None, None, None, *layer.weight_gradients(vectors, d)
        pairs = Pairs(ctx.call, ctx.step.number, vectors, d)
        learned = (
            PairGradient(layer, name, [(pairs, 1.0)]) if needed else None
            for name, needed in zip(("weight", "bias"), ctx.needs_input_grad[1:3], strict=True)
        )
        return back, *learned, None, None, None


# Torch does not say what it returns. The first way is that of torch.autograd.Function; the second one leaves out what
# that does for transforms of torch.func, whose inputs `_check_transforms` has refused before.
_usual_product: Callable[..., Tensor] = _AnalogProduct.apply
_plain_product: Callable[..., Tensor] = super(torch.autograd.Function, _AnalogProduct).apply


def _analog_product(*given: Any) -> Tensor:
    """Call `_AnalogProduct`, which autograd records."""
    transforms = torch._C._are_functorch_transforms_active()
    return _usual_product(*given) if transforms else _plain_product(*given)


class Lost(NamedTuple):
    """What of the weights that were written the cells could not hold.

    clipped: how many weights are beyond their cell's bounds. excess, worst: these over what their cells hold, the
    median and the largest (a single cell may have a bound near zero, so the largest alone says little).
    share: norm of what is missing over the norm of the weights.
    """

    clipped: int = 0
    excess: float = 1.0
    worst: float = 1.0
    share: float = 0.0

    @classmethod
    def of(cls, given: Tensor, held: Tensor) -> Lost:
        """Compare weights with what the cells hold of them, both (rows, columns)."""
        clipped = held.abs() < given.abs() * (1.0 - 1e-3) - 1e-6
        if not bool(clipped.any()):
            return cls()
        ratios = given[clipped].abs() / held[clipped].abs().clamp(min=1e-6)
        missing = (given - held)[clipped].norm() / given.norm()
        return cls(int(clipped.sum()), float(ratios.median()), float(ratios.max()), float(missing))


class AnalogLayer(torch.nn.Module, ABC):
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
        self.row_splits = _splits("row_splits", row_splits, self.rows, config.max_rows, groups)
        self.column_splits = _splits("column_splits", column_splits, self.columns, config.max_columns)
        self._groups = _group_of_each(self.row_splits, groups)
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

    def _register_parts(self, learns: dict[str, bool]) -> None:
        """Stand among the parameters for what is on the arrays and learns by pulses; ``learns`` is True by default."""
        for name in self._parts:
            part: Any = ArrayWeights(self, name, self.scale.device, learns.get(name, True))
            self.register_parameter(name, part)

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
        for group, error in zip(self._groups, _cut(d, self.row_splits), strict=True):
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
        todo = self.waiting({name: given / rate for name, given in rates.items()}) if rate else None
        if todo is None:
            return
        vars(self)["at_work"] = todo.calls
        self.send(todo.x, todo.d, rate, todo.measured)

    def send(self, x: Tensor, d: Tensor, rate: float, measured: bool = False) -> None:
        """Let the tiles learn from vectors x (vectors, groups x columns) and errors d (vectors, rows), in their order.

        rate: learning rate. measured: whether the norm of their gradient was computed before.
        """
        d = d / self.scale if self._scaled else d
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
        errors = zip(self._groups, _cut(d, self.row_splits), strict=True)
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
        return _cut(vectors, self.column_splits if self.groups == 1 else self.column_splits * self.groups)

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
        # They also make autograd call backward where the input needs no gradient, as in the first layer.
        handles: list[Tensor | None] = [self._handle(name) for name in self._parts]
        handles += [None] * (2 - len(handles))
        clipped: list[Tensor | None] = []
        if self.input_range is None:
            y = _analog_product(x, *handles, self, step, clipped, *self.trained)
        else:
            x, limit = self.input_range(x, clipped)
            y = _analog_product(x, *handles, self, step, clipped, *self.trained) * limit
        if self.out_scale is not None:
            y = y * self.out_scale
        bias = self.bias if self._digital_bias else None
        if bias is not None:
            y = y + bias
        return y if y.dtype is x.dtype else y.to(x.dtype)

    def _handle(self, name: str) -> Tensor:
        """Return the parameter that stands for ``weight`` or ``bias``; InputError if somebody has put another there."""
        part = self._parameters.get(name)
        if isinstance(part, ArrayWeights) and part.layer is self:
            return part
        raise InputError(
            f"layer {self.layer}: its {name} was replaced (by torch.func.functional_call, a parametrization, or an "
            "assignment), but the arrays hold others; accepted: set_weights(weight, bias) of the layer"
        )

    def _check_transforms(self, x: Tensor) -> None:
        """Refuse what would look into the product, or do it for several inputs at once: it happens on arrays."""
        if x.device != self._buffers["scale"].device:  # type: ignore[union-attr]
            raise InputError(
                f"layer {self.layer}: an input on {x.device} was given to arrays on {self.scale.device}; accepted are "
                "both on one device, to(device)"
            )
        # Not torch.compiler.is_compiling(), which holds for every thread while one of them exports something.
        if torch.compiler.is_dynamo_compiling() or isinstance(x, _TRACED) or torch._C._get_tracing_state() is not None:
            what = "torch.compile, torch.export or torch.jit"
        elif torch._C._functorch.is_functorch_wrapped_tensor(x):
            what = "torch.func (vmap, grad, jacrev, jvp)"
        else:
            return
        raise InputError(
            f"layer {self.layer}: {what} was asked for a product on arrays, which it cannot look into; accepted: the "
            "digital network before it is converted, or plain calls with backward() or torch.autograd"
        )

    def __prepare_scriptable__(self) -> Any:
        """Refuse torch.jit.script."""
        raise InputError(
            f"layer {self.layer}: torch.jit.script was asked for a layer on arrays; accepted: the digital network "
            "before it is converted"
        )

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move to another device; arrays and their factors stay in single precision, whatever a model is cast to."""
        apply: Callable[..., Any] = super()._apply
        with self._digital_only():
            apply(lambda t: done if (done := fn(t)).dtype is t.dtype else t.to(done.device), recurse)
        parts = {name: getattr(self, name) for name in self._parts}
        if any(part.device != self.scale.device for part in parts.values()):
            self._register_parts({name: part.requires_grad for name, part in parts.items()})
        return self

    @contextmanager
    def _digital_only(self) -> Iterator[None]:
        """Have no parameters but the digital ones for a while; the order stays."""
        every = self._parameters
        self._parameters = {name: each for name, each in every.items() if name not in self._parts}
        try:
            yield
        finally:
            self._parameters = {name: self._parameters.get(name, each) for name, each in every.items()}

    def __getattr__(self, name: str) -> Any:
        if name == "weight" and self.__dict__.get("_by_torch"):  # trained by torch, tile by tile
            learns = any(parameter.requires_grad for parameter in self.trained)
            return ArrayWeights(self, name, self.scale.device, learns)
        return super().__getattr__(name)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Leave out what stands for the weights: the tiles hold them."""
        with self._digital_only():
            super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        if f"{prefix}weight" in state_dict:
            raise InputError(
                f"{prefix}weight: a state of digital layers was given to layers on arrays; accepted: "
                "rpusim.load_digital(model, state), or loading it before the model is converted or placed"
            )
        with self._digital_only():
            super()._load_from_state_dict(state_dict, prefix, *arguments)

    def __getstate__(self) -> dict[str, Any]:
        """Copies and files take unused pairs not along."""
        own = {name: getattr(self, name).requires_grad for name in self._parts}
        return self.__dict__ | {"_parameters": {**self._parameters, **own}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        learns = {name: value for name, value in state["_parameters"].items() if isinstance(value, bool)}
        plain = {name: value for name, value in state["_parameters"].items() if not isinstance(value, bool)}
        restore: Callable[[dict[str, Any]], None] = super().__setstate__
        restore({**state, "_parameters": plain})
        self._register_parts(learns)
        self._parameters = {name: self._parameters[name] for name in state["_parameters"]}


def _cut(vectors: Tensor, splits: Splits) -> list[Tensor]:
    """Cut vectors (vectors, lines) into blocks of lines, each contiguous."""
    if len(splits) == 1:
        return [vectors.contiguous()]
    return [part.contiguous() for part in vectors.split_with_sizes(splits, 1)]


def _splits(field: str, given: Splits | None, size: int, limit: int | None, groups: int = 1) -> Splits:
    if given is None:
        each = size // groups
        return balanced_split(each, limit or each) * groups
    good = all(isinstance(block, int) and block > 0 for block in given)
    if not good or sum(given) != size:
        raise InputError(
            f"{field}: {tuple(given)!r} was given; accepted are positive block sizes that add up to {size}"
        )
    return tuple(given)


def _group_of_each(row_splits: Splits, groups: int) -> tuple[int, ...]:
    """Say which group each block of outputs lies in."""
    each = sum(row_splits) // groups
    found, end = [], 0
    for block in row_splits:
        found.append(end // each)
        end += block
        if (end - 1) // each != found[-1]:
            raise InputError(
                f"row_splits: {row_splits!r} was given; accepted are blocks within groups of {each} outputs"
            )
    return tuple(found)
