"""Networks as data: named nodes, what is known about a network without running it, and how to cut it down. No torch."""
