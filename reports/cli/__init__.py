"""The command line: what is typed, what is said when it cannot be done, what ships, and schemas for editors."""
