"""The figures, one module a family; each draws from ARD and curves and returns what it drew."""
