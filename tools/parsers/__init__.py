"""Flags of the locked Dynamo and vLLM, asked of themselves: run with the Python of a node environment."""
