"""Why a score is what it is: contributions of the newest tick's features, and their drift."""
