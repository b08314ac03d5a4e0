"""Preparing a corpus as the StarCoder project does, with counts of what each step did."""
