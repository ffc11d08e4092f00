"""The page of `rpusim learn`: which algorithms learn on a device, ranked, with a bar for each and what it cost."""
