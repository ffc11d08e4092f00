"""One file per device: its equations, what is modelled and what is not, the paper, then parameters and code.

    constant_step            the same step everywhere: the RPU concept
    linear_step              steps fall linearly with the weight: capacitors, electrochemical memories
    soft_bounds              linear steps that vanish at the cell's own bounds
    soft_bounds_pmax         soft bounds, given by a measured pulse curve
    soft_bounds_reference    soft bounds, read against a reference: filamentary memories
    exp_step                 exponential saturation: resistive and phase-change memories
    pow_step                 a power of the distance to the bound; pow_step_reference: read against a reference
    piecewise_step           any measured response, by its nodes
    cmos_rpu                 a capacitor between two current sources, which leaks
    exact                    ideal and floating-point weights, without pulses

A new device goes into a file of its own that looks like ``constant_step.py``; ``docs/add-a-device.md`` tells how. What
several devices need stands in the room above.
"""
