"""The main flow: what a user names is loaded, placed, run and accounted for, and a result comes back.

`simulate` trains an experiment on a chip, `place` puts a user's own module on one, `map_network` and `time_network`
train nothing.
"""
