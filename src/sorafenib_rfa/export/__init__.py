"""The study for others to check: RO-Crate, PROV, BagIt and in-toto, all derived from the records of the jobs."""
