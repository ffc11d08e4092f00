"""Drawings of devices and of the studies behind the documents."""
