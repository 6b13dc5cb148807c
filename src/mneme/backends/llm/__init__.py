"""Language models behind HTTP servers: OpenAI-compatible ones, Anthropic's, Ollama's."""
