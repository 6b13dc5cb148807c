"""What words, terms and times a text holds."""
