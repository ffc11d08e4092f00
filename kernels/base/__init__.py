"""What all numeric code stands on: random numbers by place, compiled loops, functions that both paths share.

    rng           random numbers that are functions of (seed, place, step), in torch and in numba
    loops         numba, with a disk cache that notices every change, and loops that choose how many threads they take
    threads       how many threads there are, of numba and of torch, and products whose bits do not depend on it
    elementwise   exp, log, power, ... that give the same bits on torch tensors and in compiled loops

Here belongs what knows nothing of devices, arrays or layers and is written for both paths at once. Whoever adds a
function to `elementwise` writes it in torch, then as a float32 scalar beside it, and proves in
``tests/kernels/base/test_elementwise.py`` that the bits agree. Whoever draws random numbers for something new gives it
a `rng.Purpose` of its own.
"""
