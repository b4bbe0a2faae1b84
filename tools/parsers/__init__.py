"""Flags of the locked Dynamo and vLLM, read from their parsers, with the Python of a node environment."""
