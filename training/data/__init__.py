"""Data: sources (recordings, Parquet, Kafka, bars), tick logs, features, labels, splits."""
