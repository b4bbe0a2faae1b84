"""The Pulumi program for its stack: settings, preflight, nodes, and announcements in previews.

Resources are registered by `components`, decisions are made by `planning`.
"""
