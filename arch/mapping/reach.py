"""Which outputs of a layer's block another block needs: to multiply them, to sum them, or to be fed with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rpusim.arch.mapping.placement import Block, PlacedLayer


def behind(rows: Block, columns: Block, producer: PlacedLayer, consumer: PlacedLayer) -> range:
    """Find which of a producer's outputs are read through the columns of a consumer's block.

    rows: a block of the producer, of whose outputs is asked. columns: a block of the consumer.
    Returns their range among all outputs of the producer.

    Each output (a channel, or an element) stands behind a number of adjacent columns, of all groups together; where
    that is no whole number (the positions were rearranged in between) every column is taken to need every output.
    """
    layer, own = consumer.layer, outputs_of(rows, producer)
    each, remainder = divmod(layer.columns * layer.groups, producer.layer.outputs)
    if remainder or not each:
        return own
    before = consumer.group(columns) * layer.columns
    start, stop = before + columns.column_start, before + min(columns.column_stop, layer.columns)
    return range(max(start // each, own.start), min(-(-stop // each), own.stop))


def summed(rows: Block, at: Block, giver: PlacedLayer, receiver: PlacedLayer) -> range:
    """Find which of a layer's outputs are summed at a home of another one.

    rows: a block of the giver, of whose outputs is asked. at: the home.
    Returns their range among all outputs of the giver.

    Where one layer has a multiple of the other's outputs, as after flattening, or where one is broadcast, each stands
    for that many adjacent ones; where it is no whole number, every home is taken to need every output.
    """
    own, theirs = outputs_of(rows, giver), outputs_of(at, receiver)
    outputs, others = giver.layer.outputs, receiver.layer.outputs
    if outputs % others == 0:
        each = outputs // others
        return overlap(own.start, own.stop, theirs.start * each, theirs.stop * each)
    if others % outputs == 0:
        each = others // outputs
        return overlap(own.start, own.stop, theirs.start // each, -(-theirs.stop // each))
    return own


def there(rows: Block, at: Block, giver: PlacedLayer, receiver: PlacedLayer) -> frozenset[int]:
    """Find which of a layer's outputs come to the tile of a block for the layer of that block.

    rows: a block of the giver, of whose outputs is asked. at: the receiver's block; those of its replica count.
    """
    replica = at.tile // receiver.grid
    blocks = receiver.blocks[replica * receiver.grid : (replica + 1) * receiver.grid]
    beside = (block for block in blocks if block.chip_tile == at.chip_tile)
    return frozenset[int]().union(*(behind(rows, block, giver, receiver) for block in beside))


def outputs_of(rows: Block, layer: PlacedLayer) -> range:
    """Return which of a layer's outputs a block of its rows makes."""
    return range(rows.row_start // layer.layer.gates, -(-rows.row_stop // layer.layer.gates))


def overlap(start: int, stop: int, other_start: int, other_stop: int) -> range:
    """Return what two ranges have in common."""
    return range(max(start, other_start), min(stop, other_stop))


def wanted(
    home: Block, targets: Iterable[Block], grid: int, needed: Callable[[Block, Block], Iterable[int]]
) -> Iterator[tuple[Block, frozenset[int], tuple[int, ...]]]:
    """Group the rows of a home by the tiles that need them, and on each tile by the replicas that do.

    targets: blocks that may need rows, of all replicas. grid: blocks of one replica. needed: which rows a target needs.
    Yields (a block on the tile, replicas that share the rows, the rows in order).
    """
    rows: dict[int, dict[int, set[int]]] = {}
    first: dict[int, Block] = {}
    for target in targets:
        first.setdefault(target.chip_tile, target)
        of_tile = rows.setdefault(target.chip_tile, {})
        of_tile.setdefault(target.tile // grid, set()).update(needed(home, target))
    for tile, by_replica in rows.items():
        sharing: dict[frozenset[int], list[int]] = {}
        if len(by_replica) == 1:
            sharing[frozenset(by_replica)] = sorted(next(iter(by_replica.values())))
        else:
            for row in sorted(set().union(*by_replica.values())):
                who = frozenset(replica for replica, its in by_replica.items() if row in its)
                sharing.setdefault(who, []).append(row)
        yield from ((first[tile], replicas, tuple(its)) for replicas, its in sharing.items() if its)
