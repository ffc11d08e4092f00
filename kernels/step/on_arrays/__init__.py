"""What the layers of a network do on their arrays: a new kind of tile, cell or periphery comes here.

`placed` says which layers can be computed, `rows` writes them, their tiles and arrays into tables, and `passes` and
`updates` run through these. What only some networks have stands in files of its own: weights used transposed
(`flipped`), products of many conversions (`converted`), cells that transfer (`transfers`, `transfer_rows`).
"""
