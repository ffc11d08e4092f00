"""What the mapper chooses by itself: replicas under a budget of tiles, where blocks lie, and all of it for an aim."""
