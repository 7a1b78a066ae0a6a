"""A real Slurm on this one machine, and what the workflow does on it."""
