"""What a run leaves in its folder: metrics, checkpoints, scores of candidates."""
