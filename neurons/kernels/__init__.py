"""The time loop of a layer, once for each backend; the others are tested against ``reference``."""
