"""Memory fit of a model on its GPUs, and cost of a plan."""
