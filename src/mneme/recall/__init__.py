"""Question to context: candidates, signals, a fitted ranking, packing."""
