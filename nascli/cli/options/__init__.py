"""Options: those that commands share, those that configurations become, and what fills them in."""
