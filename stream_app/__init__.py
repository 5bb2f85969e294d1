"""Sightline: a live, visual-semantic search engine for photographs."""

__version__ = "0.1.0"
