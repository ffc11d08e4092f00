"""What the events of a piece of work show: power over time, utilisation, critical path, rooflines, staleness.

Nothing in here feeds back into times or energy.
"""
