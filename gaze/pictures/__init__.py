"""Pictures that a person can judge at a glance."""
