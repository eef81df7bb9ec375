"""The error that a meter raises rather than leave work out."""


class UncountedError(RuntimeError):
    """A module or an operation does work that no meter knows how to count."""
