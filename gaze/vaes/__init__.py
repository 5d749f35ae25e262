"""What the frames before and after say about one of them."""
