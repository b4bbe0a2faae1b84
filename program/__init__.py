"""The Pulumi program: it reads its stack's settings, runs the preflight, makes nodes, and announces changes.

Resources are registered by `components`, decisions are made by `planning`.
"""
