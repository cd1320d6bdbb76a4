"""Pictures and texts of super-networks: which of their channels are kept."""
