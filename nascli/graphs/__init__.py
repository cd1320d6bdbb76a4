"""Networks as data: named nodes, what is known of a network without running it, and how to cut it down. No torch."""
