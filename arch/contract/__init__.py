"""What every room may import, and all that `rpusim.kernels` may import of `rpusim.arch`.

Here belongs what two floors have to agree on before either does anything: the columns of activity, quantities with
units, the base of every block of a configuration file, the checks of what the user gives, what a unit cell says of
itself to the chip, and how loops are compiled and kept.
"""
