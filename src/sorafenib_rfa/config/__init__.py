"""Configuration: models (:mod:`.models`) and loading with errors a person can act on (:mod:`.load`)."""
