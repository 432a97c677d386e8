"""What each venue says, by its public documents; who says it when is in the proof of the feeds."""
