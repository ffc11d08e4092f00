"""Programs of instructions for the units of a chip, the two engines that run them, and the events that come out.

Nothing in here knows of networks or chips: `rpusim.arch.schedule` writes the programs.
"""
