"""The time loop of a layer, once for each backend; ``reference`` is the truth the others are tested against."""
