"""Monthly listings: exported, kept, crunched outside Airflow, loaded back and published."""
