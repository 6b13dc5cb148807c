"""The one door to stored cubes: versions, derivation, index, audit, erase."""
