"""Programming problems and pass@k."""
