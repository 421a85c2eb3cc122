"""Look, never change: graphs as text and pictures, curves, the debug ladder."""
