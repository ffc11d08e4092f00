"""The page of a study or of a comparison of runs: front, settings against goals, table, all in one HTML file."""
