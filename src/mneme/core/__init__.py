"""What a memory is: cubes, provenance, life cycle, errors, time, ids, and the protocols of parts.

Imports nothing of the rest, and no third-party package.
"""
