"""The pipeline and ``flows.outcomes`` for an hour under load: what grows, lags or is lost?"""
