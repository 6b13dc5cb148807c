"""Knowledge in weights: written, proven, routed, served and taken back.

Algorithms on payloads; where cubes and files are is known above (`transform`, `vault`).
"""
