"""What Pulumi creates: resources only; every decision was made in planning."""
