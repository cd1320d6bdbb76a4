"""What the commands do: search, finetune, derive, train, evaluate; and the loop that survives being killed."""
