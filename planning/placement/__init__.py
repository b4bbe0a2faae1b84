"""Placement of engines: nodes and GPUs of each one."""
