"""Small stand-ins for the systems to come: each kind of model, loss, metric and data on the one loop."""
