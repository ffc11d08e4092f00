"""The report as one HTML page, and how a result shows itself: printed, drawn, in a notebook."""
