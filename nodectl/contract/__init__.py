"""Specifications that planning writes and nodes read: manifest, runtime, proof, probe and firewall.

Each is a frozen dataclass, defined once. `codec` turns them into JSON and back and is the one check on both
sides; everything here runs on bare Python. Values and their checks only; nothing here acts.
"""
