"""The directory format, its manifest, the local store and hubs."""
