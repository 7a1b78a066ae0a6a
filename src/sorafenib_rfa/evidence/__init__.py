"""Published evidence: its tables, what their figures imply about each other, and an editorial held against them."""
