"""The doors for programs and people: HTTP, MCP, OpenAI's dialect, and the console."""
