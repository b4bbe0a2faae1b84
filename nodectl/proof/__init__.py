"""Shows that a deployment does what its stack file says: the checks, in order, and their report."""
