"""Supervisors of services: systemd on hosts, a supervisord of its own elsewhere, and what they start.

What a service is, is decided by `services`.
"""
