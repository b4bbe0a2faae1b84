"""How the Pulumi program meets its stack: settings, preflight, nodes, and what it announces.

Resources are registered by `components`, decisions are made by `planning`.
"""
