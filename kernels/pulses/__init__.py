"""Updates by pulses: from pairs (x, d) to trains on the lines of an array, and from coincidences to steps of its cells.

    trains          pulse types, parameters of an update, slots and probabilities of a pair
    counts          what an update counted, from the compiled loops to the activity log
    specification   the update in torch, for every option and device: what is right
    compiled        the same update in compiled loops, composed of the files below
    drivers         random bits of rows and columns, packed into words
    one_by_one      every coincidence on its own, in order
    merged          many pulses of a cell at once, of a chunk of vectors; merged_vector: of one long vector
    execution       which of the two an array takes, and why
    cell_numbers    where compiled loops find the numbers of a cell
    wear            pulses that every cell has taken
    write_noise     the noise between what pulses move and what reads see

Both paths draw the same random numbers and agree to the bit, merged execution aside, which agrees in distribution.
A new pulse type is a member of `trains.PulseType`, written in `specification` first, then in `compiled`, and compared
by ``tests/kernels/pulses``. A new count is a field of `counts.UpdateCounts`; if the chip's time or energy follows from
it, it is also a column of `rpusim.arch.contract.activity.Activity`, under the same name.
"""
