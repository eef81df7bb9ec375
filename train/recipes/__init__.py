"""Experiment recipes: one commented YAML file a dataset, read by `srnn-train`."""
