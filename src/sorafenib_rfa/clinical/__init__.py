"""Clinical scores and gradings: liver function (`liver`), stage (`bclc`), toxicity (`ctcae`)."""
