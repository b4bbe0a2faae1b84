"""Documents that planning writes and nodes read: manifest, runtime, proof and probe specifications.

Values and their checks only; nothing here acts.
"""
