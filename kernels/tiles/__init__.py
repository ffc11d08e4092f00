"""Tiles: an array with its periphery on both sides, the unit that a chip is made of.

    tile      what all tiles share, and `LayerConfig`, what their configurations share
    analog    `AnalogConfig` and `AnalogTile`: arrays that learn in place, by pulses
    presets   devices and ways to train with a name, in the periphery they were published with, each with its source

Tiles that are programmed and only infer are in `rpusim.kernels.inference`. A kind of tile is a `LayerConfig`, whose
method ``tile`` makes the tile, and a `Tile`, both in one file; layers ask nothing else of it. A new named way to train
is a row in `presets`.
"""
