"""Data to learn from: one file for each kind, and one value that all of them become.

    dataset      samples and labels, checked; the protocol   kinds        which kind a name is of
    digits       that come with two packages                 idx, cifar   files of these data sets
    numpy_files  arrays, .npz or .npy                        csv_files    a line for each sample
    text         characters, of Python's own texts too       own          a function, a torch Dataset, a DataLoader

To add a kind, write a module with ``is_one`` and ``load``, which returns a `Data`, and enter it in `kinds.load`.
Nothing is ever downloaded.
"""
