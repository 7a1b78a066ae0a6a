"""The audit site: the rendered paper in which every number opens its chain back to the raw rows."""
