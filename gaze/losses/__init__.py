"""Loss terms, and the objective that adds them."""
