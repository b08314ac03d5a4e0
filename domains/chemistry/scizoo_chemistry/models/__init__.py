"""Graph networks over the atoms of molecules."""
