"""One training run, from rows to judged and perhaps published versions."""
