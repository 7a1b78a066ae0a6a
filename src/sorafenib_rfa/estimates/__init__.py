"""Estimates: ADaM and ledgers in, ARD rows and tidy curves out; one module a part."""
