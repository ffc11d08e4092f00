"""Analog multiplication: y = W x through converters, lines and an array that are not ideal.

    multiply        the entry: noise management, passes, bound management
    periphery       parameters of one side's periphery, the frozen variations of its lines, the one matrix product
    specification   the stages of a pass in torch, for every option and any device: what is right
    compiled        the stages in compiled loops, for what most chips have
    input_range     an input range that a layer learns, instead of a factor for every vector

A new imperfection is a field of `periphery.IOParameters` and an equation in `specification`; `compiled.covers` leaves
it to the specification until it is written there too, and ``tests/kernels/mvm`` then compares both. Here belongs what
one array does to one vector; what cells and tiles make of it is told in `rpusim.kernels.tiles`.
"""
