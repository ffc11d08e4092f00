"""What a chip does in which order: from a placement and rows of activity to a program for the engines.

`plan` works out all that does not depend on data; `schedules` decides which work waits for which; `flow` and its
helpers write what one vector does in each phase; `storage` settles where a layer's inputs and errors wait.
"""
