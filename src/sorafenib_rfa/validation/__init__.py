"""What only the simulator can tell: estimates held against the truth. Nothing here feeds an analysis."""
