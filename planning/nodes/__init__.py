"""The specifications of each node: its manifest, runtime, probe and the proof that they share."""
