"""The chip's clock: what the numbers did is timed and priced, and the time that it took passes in the arrays.

`meter` times as much of a run as `sampling` says, `coupling` lets the time pass, and `loop_log` puts in order what a
user's own loop did.
"""
