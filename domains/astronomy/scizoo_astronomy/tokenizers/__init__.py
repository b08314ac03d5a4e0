"""The field's objects to model inputs."""
