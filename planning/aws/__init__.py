"""Decisions for AWS alone: network, addresses, interfaces, security groups, user data."""
