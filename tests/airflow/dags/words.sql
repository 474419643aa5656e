SELECT '{{ dag.dag_id }}' AS dag, %s::date AS day
