"""From measured pulse curves to a device: `rpusim fit`.

readings     a CSV file, whatever its columns, as traces: conductance before and after every pulse
patterns     which pulses of a column go up and which down, where the file does not say
laws         the size of a step against the weight, one law for each model, and what it is called there
innovations  what a law and its noise predict of each reading from those before it, and how wrong that is
scoring      the parameters of every device at which that is most likely, with their errors
population   from devices to means and spreads between devices, without bias, with intervals
devices      from these to the parameters of a device of rpusim
choice       which of the models the data justify, and the reason in a sentence
fit          the main flow, and the document that comes of it
file         the device's YAML file
"""
