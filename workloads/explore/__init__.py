"""Design-space exploration: one question, many points, each of them a run or an estimate.

study      a study as data: what varies, what is wanted, what is not acceptable
points     the points of a study, and the names that follow from what they are
evaluate   one point: a run with its folder, or an estimate of cost alone
records    what is known of the points, on disk
workers    processes of this machine, or of a cluster, that evaluate points
search     which points to evaluate next
rungs      which of them to stop early
summary    seeds together, the front, what matters, and the answer in one sentence
explore    the main flow
table      the points as a pandas table
"""
