"""The mapping that is best for an aim: combinations that are timed (`combinations`), chosen (`chosen`), and refined by
kinds of tiles and cuts (`refined`)."""

from rpusim.workloads.runs.optimised.chosen import optimise

__all__ = ["optimise"]
