"""Text to cubes: what comes in is checked, cut into drafts, and handed to the vault."""
