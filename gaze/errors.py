"""Mistakes of users, told apart from ours."""


class UserError(Exception):
    """Something a user can mend. Its message says what was found, what was expected and what to do."""
