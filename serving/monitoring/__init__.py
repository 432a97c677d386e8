"""Health and metrics of the API.

A metric's name and labels are a contract with dashboards; its description is its documentation.
"""
