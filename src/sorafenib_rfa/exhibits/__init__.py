"""What readers see: figures, tables and the one formatter of numbers."""
