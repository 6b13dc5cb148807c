"""Writers of adapters, by name."""
