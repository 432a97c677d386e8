"""Two sets of rows side by side: our figures of drift, and Evidently's report."""
