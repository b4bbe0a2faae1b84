"""From a manifest to running services: how each is started, what changes, its ports, its log."""
