"""Join what stands at the cross-points, a matter of kernels, to the chip that carries it, a matter of arch.

    training_cells     unit cells that learn, as a user names them or describes them in a file
    inference_cells    cells that are programmed and read
    management         what the digital side does to fit numbers to the analog range, as an experiment says it
    periphery          the chip's converters, pulses and management as parameters of the kernel
    preparation        work before the first sample: weights written, symmetry points found
    assumed_transfers  what cells are taken to do where nothing is computed
    endurance          how worn cells are, and how long they last
    replicas           how alike replicas of a layer have become

Here belongs what has to know both a `rpusim.arch.chips.chip.Chip` and the kernel's parameters. What a unit cell needs
of a chip it says itself (`rpusim.kernels.cells`): a new cell is no work here.
"""

OF_THE_CHIP = "chip"
"""The name of the device that the chip's own cells are."""
