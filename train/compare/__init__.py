"""srnn-compare: a spiking network beside non-spiking ones, with equal budgets."""
