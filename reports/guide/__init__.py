"""What helps a user to write files: what each field means, files to begin with, and what this machine has.

fields      every field of the files that rpusim reads, with meaning, unit, range, default and source
new         commented files to begin with: chips, experiments, devices, studies
pages       the page on the experiment file
doctor      versions, cores, caches, and what is missing for which extra
"""
