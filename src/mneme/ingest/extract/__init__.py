"""What turns say, read by rules or by a language model."""
