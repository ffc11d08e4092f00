"""The command line: `main` heeds Ctrl-C before anything else, and then loads the commands."""


def main() -> None:
    """Run the command line `rpusim` with the words of this process, and exit."""
    from rpusim.reports.cli.interruption import HEED, heeded, leave_now

    with heeded():
        try:
            from rpusim.reports.cli import commands
        except KeyboardInterrupt:
            leave_now(HEED.sentence(), HEED.status)
        commands.main()
