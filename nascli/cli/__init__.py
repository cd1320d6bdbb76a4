"""The command line: a file per command, each of which parses, calls and prints.

`main` holds the table of commands; only the module of the command that runs is imported.
"""
