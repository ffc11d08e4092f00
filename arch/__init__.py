"""The chip: parts, configuration, mapping, schedule, event engine and ledger. Never imports torch."""
