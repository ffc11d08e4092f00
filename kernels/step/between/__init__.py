"""What lies between the layers: a new operation comes here, forward and backward, in the file of its family.

Functions and windows are everywhere; the other loops are compiled for networks that have such operations alone:
`families` says which belong together, and hands them their instructions. What an instruction has to say for a family
stands behind `program.SIZES_AT`, in the file's own columns.
"""
