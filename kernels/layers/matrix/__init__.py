"""A matrix on arrays as torch sees it, one file each.

blocks       how it is cut into a grid of tiles              lost         what cells could not hold of it
parameters   what a module keeps, copies, saves and loads    product      its products in torch's autograd
chain        layers that follow each other, in one step of autograd
"""
