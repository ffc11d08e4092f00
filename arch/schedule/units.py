"""Write what single units do for one task: read, pulse and write arrays, compute numbers, move and keep bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rpusim.arch.contract.columns import Integers, Operand, different, some
from rpusim.arch.contract.digital_work import WorkTable
from rpusim.arch.contract.quantity import transfer_picoseconds
from rpusim.arch.engine.events import Op
from rpusim.arch.engine.program import Task
from rpusim.arch.mapping.traffic import Hop, Message
from rpusim.arch.schedule.plan import ArrayPlan, BlockPlan, Multiply, Plan
from rpusim.arch.schedule.storage import too_small
from rpusim.errors import InputError

LONGEST_PS = 1 << 60
"""The longest duration (ps) of one step, some thirteen days: a clock of 64 bits counts a few of them."""


class Units:
    """Add instructions for the units of one chip to tasks.

    works: numbers the digital works of the program.

    In all methods ``task`` is the task, ``block`` the block whose units are used, and numbers of type `Operand` may be
    columns with one entry for each process of the task.
    """

    def __init__(self, plan: Plan, works: WorkTable) -> None:
        self._plan, self.works = plan, works
        self._durations = [np.zeros(1, np.int64) for _ in plan.placement.chip.tiles]
        """By kind of tile: how long its digital unit takes for each work (ps), as far as they have been asked for."""
        self._forgetful = too_small(plan.placement)

    # --- arrays -------------------------------------------------------------------------------------------------------

    def read(
        self,
        task: Task,
        block: BlockPlan,
        arrays: Sequence[ArrayPlan],
        way: Multiply,
        passes: Operand,
        backward: bool,
        begun: Operand | None = None,
    ) -> None:
        """Drive arrays that are read together, and convert.

        Args:
            task, block: see the class.
            arrays: which; all use the converters of the last one.
            way: durations of one pass.
            passes: how often all of it is done, at least once.
            backward: whether rows are driven and columns read.
            begun: a gate to raise when the arrays are held; None: none.
        """
        adcs, waking = arrays[-1].adcs(backward), self._plan.waking[block.block.kind]
        task.until(max(waking.read, waking.convert - way.lead_ps))
        for array in arrays:
            task.take(array.array)
        if begun is not None:
            task.raise_(begun)
        task.note(0)
        task.hold(way.lead_ps)
        task.take(adcs)
        task.note(1)
        again = lasting(passes - 1, way.pass_ps, block, "array.integration, inputs or adc.rate")
        task.hold(again + way.overlap_ps + (0 if block.sample_and_hold else way.tail_ps))
        for array in arrays:
            task.give(array.array)
        driven = [(array.array, passes) for array in arrays]
        task.log(Op.DRIVE, [*driven, *((array.drivers(backward), 0) for array in arrays)], register=0)
        if block.sample_and_hold:
            task.hold(way.tail_ps)
        task.give(adcs)
        task.log(Op.CONVERT, [(adcs, passes * way.conversions)], register=1)

    def pulse(
        self, task: Task, block: BlockPlan, arrays: Sequence[ArrayPlan], slots: Operand, bits: int, rows: int
    ) -> None:
        """Load the trains of both sides from the buffer, then send all slots; arrays that learn together share them.

        Args:
            task, block: see the class.
            arrays: that take the pulses.
            slots: of the trains; nothing is done where it is 0.
            bits: of the trains.
            rows: how many rows of weights take part. Tiles that are written row by row send the slots once for each of
                their rows of cells.
        """
        if not some(slots):
            return
        assert block.kind.pulses is not None, "activity of a chip that does not train"
        self.recall(task, block, (slots > 0) * bits, reading=True)
        turns = int(block.kind.pulses.turns(rows * block.kind.array.cells_per_weight))
        duration = lasting(slots, block.slot_ps * turns, block, "pulses.width, gap or bl")
        held = [side for array in arrays for side in array.sides]
        amounts = [(side, slots if number == 0 else 0) for number, side in enumerate(held)]
        task.until(self._plan.waking[block.block.kind].pulse * (slots > 0))
        task.use_together([array.array for array in arrays], Op.PULSE, duration, amounts)

    def write(self, task: Task, block: BlockPlan, array: ArrayPlan, weights: Integers, rows: Integers) -> None:
        """Program weights row of cells by row of cells, without verification.

        Args:
            task, block: see the class.
            array: that is written.
            weights: (processes,) how many weights; nothing is done where it is 0.
            rows: (processes,) in how many rows of weights.

        Raises:
            InputError: the chip does not say how its cells are written.
        """
        if not weights.any():
            return
        kind = block.kind
        programming = kind.writing(self._plan.placement.chip.name, "their unit cells are reset")
        pulses = np.ceil(rows * kind.array.cells_per_weight * programming.iterations).astype(np.int64)
        pulses = np.where(weights > 0, pulses, 0)
        amounts = [(side, pulses) for side in array.sides]
        duration = lasting(pulses, programming.pulse_ps, block, "programming.width or iterations")
        task.until(self._plan.waking[block.block.kind].pulse * (pulses > 0))
        task.use_together([array.array], Op.WRITE, duration, amounts)

    # --- numbers and bits ---------------------------------------------------------------------------------------------

    def compute(self, task: Task, block: BlockPlan, work: Operand) -> None:
        """Do digital work in the block's unit; ``work``: its number, or one for each process, in ``works``."""
        if some(work):
            durations = self._of_works(block.block.kind)
            duration = int(durations[work]) if isinstance(work, int) else durations[work]
            if digital := self._plan.waking[block.block.kind].digital:
                task.until(digital * (work > 0))
            task.use(block.digital, Op.DIGITAL, duration, work, worked=True)

    def multiply(self, task: Task, block: BlockPlan, macs: Operand) -> None:
        """Do multiply-accumulates of activations in the matrix unit of the block's tile."""
        if some(macs):
            assert block.kind.matrix is not None, "products for a matrix unit that is not there"
            task.use(block.matrix, Op.MULTIPLY, each(macs, block.kind.matrix.picoseconds), macs)

    def _of_works(self, kind: int) -> Integers:
        """Return (works,) how long the digital unit of a kind of tile takes for each work (ps)."""
        known = self._durations[kind]
        if len(known) < len(self.works.rows):
            digital, cycles = self._plan.placement.chip.tiles[kind].digital, self._plan.cycles[kind]
            new = [_counted(digital.picoseconds(counts, cycles)) for counts in self.works.rows[len(known) :]]
            known = self._durations[kind] = np.concatenate([known, np.array(new, np.int64)])
        return known

    def recall(self, task: Task, block: BlockPlan, bits: Operand, reading: bool) -> None:
        """Move bits out of the tile's buffer (``reading``), or into it."""
        duration = each(bits, lambda n: transfer_picoseconds(n, self._plan.bandwidth[block.block.kind]))
        task.use(block.buffer, Op.FETCH if reading else Op.STORE, duration, bits)

    def remember(self, task: Task, block: BlockPlan, words: Operand, work: Operand) -> None:
        """Read words of the unit cells' digital memory, do digital work on them, and write them back.

        That memory is in the tile's buffer, or in DRAM if it does not fit there and the chip has some.
        """
        bits = words * block.kind.digital.word_bits
        elsewhere = block.block.chip_tile in self._forgetful and "DRAM" in self._plan.outside

        def access(reading: bool) -> None:
            if elsewhere:
                self.outside(task, "DRAM", bits, reading)
            else:
                self.recall(task, block, bits, reading)

        access(reading=True)
        self.compute(task, block, work)
        access(reading=False)

    def send(self, task: Task, route: Sequence[Hop], bits: Operand) -> None:
        """Send bits and a header over each link of a route in turn; they are on their way from each for its latency."""
        if header := self._plan.placement.chip.mesh.header_bits:
            bits = bits + header * (bits > 0)
        on_link = each(bits, lambda n: transfer_picoseconds(n, self._plan.link_bandwidth))
        parts, between = self._plan.station_parts, self._plan.placement.chip.between
        for hop in route:
            taken = on_link
            if between and parts[hop.station] == "chip link":
                taken = each(bits, between.transfer_ps)
            task.use(hop.station, Op.SEND, taken, bits)

    def deliver(self, task: Task, message: Message, bits: Operand) -> None:
        """Send bits over a message's links, and write them into the buffer at their end."""
        self.send(task, message.route, bits)
        to_store = each(bits, lambda n: transfer_picoseconds(n, self._plan.bandwidth[message.kind]))
        task.use(message.buffer, Op.STORE, to_store, bits)

    def outside(self, task: Task, part: str, bits: Operand, reading: bool) -> None:
        """Move bits to or from the global buffer, DRAM or the host; ``part``: which of them; ``reading``: from it."""
        chip = self._plan.placement.chip
        unit = {"global buffer": chip.global_buffer, "DRAM": chip.memory, "host link": chip.host}[part]
        assert unit is not None
        of_memory = Op.FETCH if reading else Op.STORE
        op = Op.HOST if part == "host link" else of_memory
        task.use(self._plan.outside[part], op, each(bits, unit.transfer_ps), bits)


def each(values: Operand, function: Callable[[int], int]) -> Operand:
    """Apply a function of integers to a number, or to every entry of a column; what is 0 stays 0."""
    if isinstance(values, int):
        return _counted(int(function(values))) if values else 0
    first, places = different(np.ascontiguousarray(values, np.int64)[:, None])
    return np.array([_counted(function(v)) if v else 0 for v in values[first].tolist()], np.int64)[places]


def lasting(times: Operand, picoseconds: int, block: BlockPlan, fields: str) -> Operand:
    """Multiply a duration by how often it is gone through.

    times: how often, at least 0; an integer or a column.
    picoseconds: the duration.
    block: of whose kind of tile it is, and ``fields`` of the chip's file that say how long it is, for the error.

    Raises InputError if the longest one is more than `LONGEST_PS`: a product that wraps would be a wrong time.
    """
    most = times if isinstance(times, int) else int(times.max(initial=0))
    if max(most, 1) * picoseconds > LONGEST_PS:
        raise InputError(
            f"chip: tiles.{block.kind.name}.{fields}: one step would take {max(most, 1) * picoseconds * 1e-12:.3g} s, "
            f"but the clock counts to {LONGEST_PS * 1e-12:.3g} s; shorter times are needed"
        )
    return times * picoseconds


def _counted(picoseconds: int) -> int:
    """Return a duration that the clock can count."""
    if picoseconds > LONGEST_PS:
        raise InputError(
            f"chip: one transfer or digital operation would take {picoseconds * 1e-12:.3g} s, but the clock counts to "
            f"{LONGEST_PS * 1e-12:.3g} s; a higher bandwidth or rate is needed"
        )
    return picoseconds
