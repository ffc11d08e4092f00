"""A network on a chip: which block of which matrix lies on which array, and what tiles therefore send each other.

Here belongs what follows from network, chip and placement alone, before anything happens in time.
"""
