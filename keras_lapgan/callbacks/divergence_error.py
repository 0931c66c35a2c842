class DivergenceError(ArithmeticError):
    """Training whose losses are no longer finite numbers."""
