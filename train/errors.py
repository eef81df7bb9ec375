"""What can go wrong in a run, each told to the user in one sentence."""


class ConfigError(Exception):
    """A wrong setting: which flag, what is wrong with it, and what to do."""


class NotFiniteError(Exception):
    """A loss or gradient became NaN or infinite: at which step, in which layer."""


class Stopped(Exception):  # noqa: N818 - the user's wish, not an error
    """The user stopped the run, which has saved where it was: how to go on."""
