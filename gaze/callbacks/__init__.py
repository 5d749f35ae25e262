"""What happens around the steps of training."""
