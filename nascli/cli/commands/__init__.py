"""A file per command, each of which parses, calls and prints."""
