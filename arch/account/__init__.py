"""What work takes: energy, time and busy units, from events and rows of activity to a ledger of exact integers.

Whatever finds a ledger without pricing every event (groups, periods, extrapolation) stands here as well.
"""
