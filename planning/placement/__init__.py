"""Which engine takes which GPUs of which nodes."""
