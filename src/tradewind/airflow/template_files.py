"""Which templated texts may be the name of a file: the query, the command, and nothing else.

Airflow takes each text within a templated field that ends like a template file for the name of
one. So a key ``dump.sql`` would fail, and a bound parameter of that name would become what stands
in a file beside the DAG.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.airflow.checked import CheckedOperator

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context

__all__ = ["NamedTemplateFiles"]

_allowed: ContextVar[bool] = ContextVar("tradewind_template_files", default=True)


class NamedTemplateFiles(CheckedOperator):
    """Lets only `template_file_fields` name files, in operators and their descriptions.

    An operator itself and no mixin beside one: Airflow takes the defaults of a mapped operator's
    arguments from each class before ``BaseOperator`` that has another ``__init__`` than its first
    base, and would take those of ``BaseOperator`` itself then, ``inlets=None`` among them.
    """

    template_file_fields: ClassVar[tuple[str, ...]] = (
        "query",
        "sql",
        "command",
        "code",
        "env_file",
    )

    def resolve_template_files(self) -> None:
        """Read the files that fields name, when the DAG file is read."""
        named = tuple(name for name in self.template_fields if name in self.template_file_fields)
        kept = self.__dict__.get("template_fields")
        self.__dict__["template_fields"] = named
        try:
            super().resolve_template_files()
        finally:
            if kept is None:
                del self.__dict__["template_fields"]
            else:
                self.__dict__["template_fields"] = kept

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        files = getattr(type(parent), "template_file_fields", ())
        for name in template_fields:
            before = _allowed.set(name in files)
            try:
                super()._do_render_template_fields(parent, (name,), context, jinja_env, seen_oids)
            finally:
                _allowed.reset(before)

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render a text, or all texts within a collection."""
        if (
            isinstance(content, str)
            and not _allowed.get()
            and content.endswith(tuple(self.template_ext))
        ):
            environment = jinja_env or self.get_template_env()
            return self._render(environment.from_string(content), context)
        return super().render_template(content, context, jinja_env, seen_oids)
