"""Triton: what `rpusim.kernels` computes, as kernels for a GPU, with the same random numbers.

    language   the guarded import of Triton: `jit`, `launch`, whether there is a Triton at all
    rng        the hash and the numbers that are made of it, to the bit as `rpusim.kernels.base.rng`
    devices    the step function of a device, translated into a Triton function
    drivers    packed trains of bits for all vectors of a mini-batch, and what they count
    exact      pulses one by one: one program for each tile of cells, which goes over all vectors and slots
    update     the pulsed update for the host: what `rpusim.kernels.pulses.compiled` is for loops on the CPU

Nothing here needs Triton to be imported but the files with kernels; ask `rpusim.kernels.base.paths.has_triton` before
these. Kernels run on CUDA tensors, and with ``TRITON_INTERPRET=1`` set on CPU tensors, slowly, for tests.
"""
