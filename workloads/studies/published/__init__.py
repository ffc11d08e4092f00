"""Published figures of papers and simulators, each beside what rpusim finds: a file per kind of work."""
