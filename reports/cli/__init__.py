"""The command line: one file for each command in `commands`, their options, errors and output, and JSON schemas."""
