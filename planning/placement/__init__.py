"""Which engine takes which GPUs of which nodes, and what a node of each target has."""
