"""Wrong answers: a sheet of the worst pictures, and a list."""
