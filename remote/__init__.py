"""Runs nodectl on other machines: over OpenSSH, from the operator's. No Pulumi, standard library only."""
