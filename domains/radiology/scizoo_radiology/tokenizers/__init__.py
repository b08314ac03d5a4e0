"""Images, volumes, reports and tables of measures as model inputs."""
