"""Running work on other systems, exactly once: a library that knows nothing of Airflow."""
