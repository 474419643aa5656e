"""What every system keeps to: suites of pytest that its tests inherit, one class a kind of system.

    from tradewind.testing.conformance.table import TableConformance

    class TestMyTable(TableConformance):
        def table(self, **options): ...
        def rows(self, name=None): ...

Each suite says what a subclass has to give. To see the values of a failed assertion, write
``pytest.register_assert_rewrite("tradewind.testing")`` into ``conftest.py``.
"""
