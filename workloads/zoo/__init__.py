"""What ships to be run: networks as torch modules, data to learn from, and experiments as YAML files."""

from pathlib import Path

FOLDER = Path(__file__).parent
"""Where these files lie; ``experiments/`` holds the YAML files."""
