"""Words for people: how numbers are written, what a result says, and tables for the terminal."""
