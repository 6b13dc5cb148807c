"""Text to cubes: messages, documents and other systems' exports."""
