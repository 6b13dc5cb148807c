"""The door for MCP clients (Model Context Protocol): stdio and streamable HTTP."""
