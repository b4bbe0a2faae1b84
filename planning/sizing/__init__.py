"""Whether a model fits its GPUs, and what a plan costs."""
