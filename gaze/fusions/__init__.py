"""What is made of the features of face and eyes: one vector per user and frame."""
