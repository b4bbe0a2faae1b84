"""Pulumi plugins for networks that cannot download the official ones."""
