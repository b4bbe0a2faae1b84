"""Who runs what where, and why: plain functions on frozen values, no Pulumi, no I/O."""
