"""Runs side by side: what differs between them, and what that did to error, time, energy and area."""
