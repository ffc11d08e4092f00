"""Measurements behind the documentation: what learns, what it costs, how it ages, and what was published."""
