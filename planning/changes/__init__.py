"""Restarts and interruptions by a change of the plan."""
