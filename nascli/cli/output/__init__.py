"""What people and scripts see of a command: progress, tables, paths, plans."""
