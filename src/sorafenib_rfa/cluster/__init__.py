"""What concerns clusters: profiles looked at before a run, failures told after it."""
