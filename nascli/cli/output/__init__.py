"""What a command prints for people and scripts: progress, tables, paths, plans."""
