"""Bars that venues keep and give by REST: asked for by page, checked, and stored by day.

``span`` says what is missing, one module for each venue asks for it and reads the answers,
``store`` merges them into the archive's Parquet files, ``backfill`` is the loop between them.
"""
