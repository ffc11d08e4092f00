"""Residual learning: an array beside the weights holds what they still lack, and is part of what is seen.

residual_learning   the gradient is taken at W + gamma P, and P goes to W (RL)
filtered            the same through a filter that collects whole pulses (RLv2)
multi_tile          several arrays of few states, each for what the coarser ones leave
rider               the symmetry point is tracked while learning (RIDER, E-RIDER)
"""
