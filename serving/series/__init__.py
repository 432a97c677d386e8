"""One symbol over time, for charts: ticks, scores and outcomes put together by second.

``buckets`` adds messages up, ``columns`` turns buckets into what a chart draws, ``marks`` finds
where a score crossed its threshold and what became of it, ``symbol_log`` reads the topics in
bounded steps, and ``store`` keeps the symbols that are being watched.
"""
