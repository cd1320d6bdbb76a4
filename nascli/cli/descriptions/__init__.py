"""The facts about a file, a super-network or a cell: a dictionary for machines, and its text for people."""
