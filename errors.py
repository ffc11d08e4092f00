"""The one exception that speaks to the user."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one sentence: where (file and field), what was given, what is accepted.
    The command line prints it and exits with status 2; nothing has been written by then.
    """
