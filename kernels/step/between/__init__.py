"""What lies between the layers of some networks only: normalisation, recurrence, masks, products and selections.

These loops are compiled for networks that have such operations: `Families` says which. Each file has a family, forward
and backward; what an instruction has to say for it stands behind `program.SIZES_AT`, in the file's own columns.
"""
