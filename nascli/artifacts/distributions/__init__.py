"""What a search learns, a file per kind of distribution, and what several kinds have in common."""
