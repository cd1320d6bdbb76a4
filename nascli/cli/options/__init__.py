"""Options: those that commands share, those made from configurations, and where their values come from."""
