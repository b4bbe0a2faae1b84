"""Offline stand-in for Pulumi's `command` provider: same resources, same documented behaviour."""
