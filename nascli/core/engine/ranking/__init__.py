"""Candidates are drawn from a distribution and scored on held-out images, and the best is kept."""
