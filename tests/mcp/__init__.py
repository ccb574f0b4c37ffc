"""MCP, by the SDK's own client and the official inspector: over HTTP, and on standard streams."""
