"""What a run has to say, as one document: how it is put together, kept in memory, written to a folder and read again.

Every table, page and file is only a view of that document; nothing here knows what they look like.
"""
