"""Drop-in replacements: the names and shapes of other memories, on top of Mneme."""
