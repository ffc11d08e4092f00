"""Tiki-Taka and what came of it: one array learns, and what it has learned is slowly transferred to another.

    transfer  Tiki-Taka, and what all these cells share
    buffered  version 2: whole pulses out of a digital buffer
    chopped   c-TTv2: signs that change from time to time, so that constant errors cancel
    dynamic   AGAD: the reference of a read-out is found on the way
    compiled  a mini-batch at once: which transfers there are, and what goes before what
    loops     the compiled loops that do them

Each file that holds a cell holds its parameters, too, and builds on the one before it in this list.
"""
