"""Parts that may be replaced by others of their kind."""
