"""Statistical disclosure control: what of a cohort's results may leave the house, and a checker that looks again."""
