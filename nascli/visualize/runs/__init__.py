"""Pictures and texts of runs: their curves, their candidates, the true accuracy of what they find."""
