"""Experience: what a run of an agent did, what may be used again of it, and what to beware of."""
