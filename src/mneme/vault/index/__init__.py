"""One namespace in memory, as columns that recall reads."""
