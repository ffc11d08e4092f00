"""Arrays: the devices of one array, and everything that is done to them but multiplication.

    array        DeviceArray: written, pulsed, reset, left alone
    leakage      cells that lose what they hold with a time constant
    reads        columns or rows read one at a time through the converters
    zero_shift   arrays driven to their symmetry points, and read against a reference

An array knows neither layers nor algorithms: a cell (`rpusim.kernels.cells`) has one or several and decides what is
done to them. A new process in time belongs here, in a file with its equation, called from `DeviceArray.elapse` or
`DeviceArray.end_mini_batch`; whatever it draws or remembers travels with the array's ``state_dict``.
"""
