"""Mneme as the memory of agent frameworks: one module for each, named after it.

A module imports its framework, which the user brings along; where that is missing, importing the
module is a `MissingDependencyError`. All work on a `mneme.Namespace` and on one of `mneme.client`.
"""
