"""A chip as data: what its file says, the library of cost cards, and the bill of physical parts that follow from both.

Chips that ship are in ``presets``, cards in ``cards``, one YAML file per chip or source; a new chip is a file there.
"""
