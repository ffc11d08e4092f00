"""The network as a graph of operations on one sample, without weights: shapes, costs, and what waits for what.

Here belongs what is true of a network on any chip; that a framework's modules are turned into it is the business of
`rpusim.workloads.capture`.
"""
