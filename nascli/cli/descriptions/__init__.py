"""What is worth knowing of a thing: one dictionary for machines, and its text for people."""
