"""An array of cells and wires as the circuit that it is, solved whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def currents(cells: Numbers, wire: float, voltages: Numbers) -> Numbers:
    """Solve for the currents (read lines,) that come out of the near ends of read lines held at ground.

    cells: conductances (read lines, driven lines). wire: conductance of the wire from one cell to the next.
    voltages: of the near ends of the driven lines (driven lines,).
    """
    rows, columns = cells.shape
    node = np.arange(2 * rows * columns).reshape(2, rows, columns)  # of a driven line, of a read line
    matrix, feed = np.zeros((node.size, node.size)), np.zeros(node.size)

    def join(ones: NDArray[np.int64], others: NDArray[np.int64], conductance: Numbers | float) -> None:
        for here, there in ((ones, others), (others, ones)):
            np.add.at(matrix, (here.ravel(), here.ravel()), np.broadcast_to(conductance, here.shape).ravel())
            np.add.at(matrix, (here.ravel(), there.ravel()), -np.broadcast_to(conductance, here.shape).ravel())

    join(node[0], node[1], cells)
    join(node[0, 1:], node[0, :-1], wire)
    join(node[1, :, 1:], node[1, :, :-1], wire)
    matrix[node[0, 0], node[0, 0]] += wire
    matrix[node[1, :, 0], node[1, :, 0]] += wire
    feed[node[0, 0]] = wire * voltages
    return np.asarray(np.linalg.solve(matrix, feed)[node[1, :, 0]] * wire)


def output(weights: Numbers, line: int, share: float, wire: float, voltages: Numbers) -> float:
    """Solve for one output: what its line gives more than a line of mean cells in its place, in units of the weights.

    weights: (read lines, driven lines) from -1 to 1, of which cells of conductance 1 deviate by ``share``.
    """
    cells = 1.0 + share * weights
    reference = cells.copy()
    reference[line] = 1.0
    return float(currents(cells, wire, voltages)[line] - currents(reference, wire, voltages)[line]) / share
