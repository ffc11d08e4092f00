"""A training run on a measured chip, predicted before its outcome was looked at: settings, prediction, what is guessed.

python -m rpusim.workloads.studies.twin.predict                              as the prediction was made
python -m rpusim.workloads.studies.twin.predict --traces T.csv --cells C.csv  from your own copy of the traces
"""
