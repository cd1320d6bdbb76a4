"""Networks as data: named nodes, what can be known of a network without running it, and how to cut it down. No torch."""
