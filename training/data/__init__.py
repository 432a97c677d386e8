"""From sources to rows: recordings, Parquet and Kafka as tick logs, features and labels."""
