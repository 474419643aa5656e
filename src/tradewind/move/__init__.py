"""Moving data between systems: a library that knows nothing of Airflow."""
