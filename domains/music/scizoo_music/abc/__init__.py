"""ABC notation: text, notes, transposition."""
