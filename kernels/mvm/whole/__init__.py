"""A whole multiplication on an array, with its usual management, in one compiled call.

products     matrix products in compiled loops         reading    conversions, product and passes again
multiplier   the same for a tile, prepared
"""
