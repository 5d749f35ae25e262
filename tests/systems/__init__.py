"""Systems that are to come, in miniature, on the loop that is there."""
