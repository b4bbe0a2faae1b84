"""Ports, listeners and flows, and what is rendered from them: firewall, balancer."""
