"""Which training algorithms learn on a device: `rpusim learn`.

algorithms    every algorithm as a unit cell, and the settings that are tried of it
calibration   how many pulses find symmetry points
learn         the main flow: a search for each algorithm, seeds, the ranking and the sentence
"""
