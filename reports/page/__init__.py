"""The report as one HTML page, and the small table of a result in a notebook."""
