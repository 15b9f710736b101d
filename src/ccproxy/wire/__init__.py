"""Framing and JSON. Nothing here knows what a language model is."""
