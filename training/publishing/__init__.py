"""Publishing: versions with their manifests, and moves of the aliases."""
