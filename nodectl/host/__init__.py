"""Properties of a machine, whichever nodes it carries: firewall, units, disks, releases, lifetime."""
