"""Files that are not on this machine: object stores by their addresses, read piece by piece through a local cache."""
