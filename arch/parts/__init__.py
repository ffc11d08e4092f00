"""The parts of a chip, one file per physical thing.

Each file opens with what is modelled and what is not, holds the part's configuration (a pydantic model, which is a
block of a chip's YAML file) and its `build`, which turns configuration and cost card into a `Part`: units, and for
each action its latency in picoseconds and its energy in zeptojoules. Operation counts of the digital unit are here too.
"""
