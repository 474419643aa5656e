"""What Airflow sees of Tradewind: thin; the work is done in ``tradewind.move`` and its like."""
