"""Notebooks that tell the story: checked, executed, made byte-stable and published as pages."""
