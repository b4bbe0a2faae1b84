"""Every flag and environment variable of a service: set by planning, allowed, or refused."""
