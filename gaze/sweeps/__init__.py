"""Searches of hyperparameters: Optuna's studies that survive whatever ends them."""
