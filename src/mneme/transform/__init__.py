"""Cube to cube: what sleep makes of what a memory holds. The scheduler says when."""
