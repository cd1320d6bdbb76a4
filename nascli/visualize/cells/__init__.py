"""Pictures and texts of cells, and of distributions over cells."""
