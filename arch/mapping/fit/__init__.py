"""The ways in which a network finds its place on a chip, one file for each: `fit` says which one is asked for.

as-is    every block of a matrix has an array of its own; a chip with too few arrays is refused
pack     several blocks share an array; groups of a convolution lie on its diagonal
grow     the chip gets as many tiles as it takes
chips    several chips in a row are one, whose tiles are filled one chip after the other
reload   blocks take turns on the arrays, which are written for every sample
"""
