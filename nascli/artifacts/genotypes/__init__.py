"""What a search finds: cells, or channels of a super-network; and the published cells."""
