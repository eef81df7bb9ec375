"""Experiments: command lines, recipes, training, logging and reports."""
