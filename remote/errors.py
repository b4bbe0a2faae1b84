"""Errors of reaching a host: one clear text each."""


class RemoteError(Exception):
    """A command could not be run on a host; the text says why and what to do. `gone`: it may be no more."""

    def __init__(self, text: str, *, gone: bool = False) -> None:
        super().__init__(text)
        self.gone = gone


class NoAccessError(RemoteError):
    """Nodes cannot be reached from here; the text says what to do."""
