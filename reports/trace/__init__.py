"""Timelines: the events of a run as lanes, and the two file formats that ui.perfetto.dev reads."""
