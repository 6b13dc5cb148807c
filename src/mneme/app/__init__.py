"""MemoryOS and Namespace: the verbs of the public contract."""
