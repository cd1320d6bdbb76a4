"""The command line: a file per command, each of which parses, calls and prints.

`main` holds the table of commands; a command's module is imported when it is the one that runs.
"""
