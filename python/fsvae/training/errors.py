"""What is wrong with what the user gave."""

import sys
from contextlib import contextmanager


def one_line(text):
    """A file may be called anything: line breaks, bytes that are no text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class InputError(Exception):
    """Something the user gave is not what it should be: one line that says what."""

    def __init__(self, text):
        super().__init__(one_line(text))


@contextmanager
def reported(*others):
    """Ends the program with one line and exit code 2 for an `InputError`, or one of `others`."""
    try:
        yield
    except (InputError, *others) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
