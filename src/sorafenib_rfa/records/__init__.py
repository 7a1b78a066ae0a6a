"""Job records and code identity: what ran, on what, with which result."""
