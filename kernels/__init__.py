"""The numbers of an RPU chip: what its arrays really compute, and how they learn.

An array holds a matrix W as the conductances of its cross-points. It does three things, all in one step:

* *forward*: voltages x on the columns give currents y = W x on the rows;
* *backward*: the same with rows and columns exchanged, z = W^T d;
* *update*: pulses on both sides at once; where they coincide, a cross-point moves by one small step, so that on average
  W <- W - lr d x^T. This needs no memory traffic at all, which is why such chips are fast.

None of them is exact: converters round and clip, read-out is noisy, steps differ between cells, between directions
and from pulse to pulse, and weights are bounded. These modules compute that, vector by vector and pulse by pulse:

    devices/    what a pulse does to a cross-point, one file per device
    pulses/     from pairs (x, d) to trains of pulses, and what these do to an array
    mvm/        multiplication with all its imperfections
    arrays/     the devices of one array: pulsed, read, leaking, calibrated
    cells/      how many devices share a cross-point, and how they learn: Tiki-Taka and others, one file per cell
    tiles/      an array with its periphery, and named ways to train
    layers/     torch's layers on grids of tiles, one file per kind; `convert` and `AnalogSGD`
    inference/  weights as conductances that drift, and training for it
    base/       random numbers that depend on the place only; numba and its disk cache

Each folder's ``__init__`` says what belongs in it and how to add to it. Folders import only from those above them in
this order, and from ``base``; of the rest of rpusim only `rpusim.arch.contract`.

``pulses`` and ``mvm`` are written twice: in torch, the readable specification, which also runs on a GPU, and in numba,
fast on a CPU; they share random numbers and give equal results. Each vector leaves a row in an activity log
(`rpusim.arch.contract.activity`), from which the time and energy of the chip are derived.

    model = convert(torch_module, AnalogConfig(device=device("gokmen-vlasov")))
    optimizer = AnalogSGD(model, lr=0.05)
    loss(model(x), target).backward(); optimizer.step()
"""

from rpusim.kernels.arrays.zero_shift import zero_shift
from rpusim.kernels.cells import (
    CELLS,
    BitSliced,
    BufferedTransfer,
    CellParameters,
    ChoppedTransfer,
    DynamicTransfer,
    EnhancedRider,
    FilteredResidual,
    Hamiltonian,
    MixedPrecision,
    MultiTile,
    OneSided,
    Policy,
    Reference,
    ResidualLearning,
    Rider,
    Selective,
    Single,
    Transfer,
    UnitCell,
    Vector,
)
from rpusim.kernels.devices import (
    Cells,
    CmosRpu,
    ConstantStep,
    Device,
    Drift,
    ExpStep,
    FloatingPointDevice,
    IdealDevice,
    LinearStep,
    PiecewiseStep,
    PowStep,
    PowStepReference,
    PulsedDevice,
    SoftBounds,
    SoftBoundsPmax,
    SoftBoundsReference,
)
from rpusim.kernels.layers import (
    AnalogConv1d,
    AnalogConv2d,
    AnalogConv3d,
    AnalogGRU,
    AnalogGRUCell,
    AnalogLayer,
    AnalogLinear,
    AnalogLSTM,
    AnalogLSTMCell,
    AnalogMultiheadAttention,
    AnalogRNN,
    AnalogRNNCell,
    balanced_split,
)
from rpusim.kernels.layers.convert import ClippedWeights, convert, load_digital
from rpusim.kernels.layers.optimizer import AnalogSGD, array_parameters, digital_parameters
from rpusim.kernels.mvm.input_range import InputRange, calibrate
from rpusim.kernels.mvm.multiply import (
    BoundManagement,
    Encoding,
    IOParameters,
    MVType,
    NoiseManagement,
    Slices,
    WeightNoise,
)
from rpusim.kernels.pulses.specification import PulseType, UpdateParameters
from rpusim.kernels.tiles.analog import AnalogConfig, AnalogTile
from rpusim.kernels.tiles.presets import CONFIGURATIONS, PRESETS, Preset, configuration, device, preset

__all__ = [
    "CELLS",
    "CONFIGURATIONS",
    "PRESETS",
    "AnalogConfig",
    "AnalogConv1d",
    "AnalogConv2d",
    "AnalogConv3d",
    "AnalogGRU",
    "AnalogGRUCell",
    "AnalogLSTM",
    "AnalogLSTMCell",
    "AnalogLayer",
    "AnalogLinear",
    "AnalogMultiheadAttention",
    "AnalogRNN",
    "AnalogRNNCell",
    "AnalogSGD",
    "AnalogTile",
    "BitSliced",
    "BoundManagement",
    "BufferedTransfer",
    "CellParameters",
    "Cells",
    "ChoppedTransfer",
    "ClippedWeights",
    "CmosRpu",
    "ConstantStep",
    "Device",
    "Drift",
    "DynamicTransfer",
    "Encoding",
    "EnhancedRider",
    "ExpStep",
    "FilteredResidual",
    "FloatingPointDevice",
    "Hamiltonian",
    "IOParameters",
    "IdealDevice",
    "InputRange",
    "LinearStep",
    "MVType",
    "MixedPrecision",
    "MultiTile",
    "NoiseManagement",
    "OneSided",
    "PiecewiseStep",
    "Policy",
    "PowStep",
    "PowStepReference",
    "Preset",
    "PulseType",
    "PulsedDevice",
    "Reference",
    "ResidualLearning",
    "Rider",
    "Selective",
    "Single",
    "Slices",
    "SoftBounds",
    "SoftBoundsPmax",
    "SoftBoundsReference",
    "Transfer",
    "UnitCell",
    "UpdateParameters",
    "Vector",
    "WeightNoise",
    "array_parameters",
    "balanced_split",
    "calibrate",
    "configuration",
    "convert",
    "device",
    "digital_parameters",
    "load_digital",
    "preset",
    "zero_shift",
]
