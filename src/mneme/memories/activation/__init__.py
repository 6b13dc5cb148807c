"""Activation memory: keys and values of a model as stored, managed, provably right memory.

Needs the extra `local`, save for `keys`, which any process may import.
"""
