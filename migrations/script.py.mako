"""${message}

Revision: ${up_revision}, after: ${down_revision | comma,n}
"""
<%
    def with_names(code):
        for token, schema in schemas.items():
            code = code.replace(f"schema='{schema}'", f"schema=names.{token}")
            code = code.replace(f"'{schema}.", f"f'{{names.{token}}}.")
        return code

    uses_dialect = "postgresql." in f"{upgrades}{downgrades}"
%>
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
% if uses_dialect:
from sqlalchemy.dialects import postgresql
% endif

from migrations.names import schema_names
% if imports:
${imports}
% endif

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    ${with_names(upgrades) if upgrades else "pass"}


def downgrade() -> None:
    names = schema_names()
    op.execute("SET LOCAL lock_timeout = '10s'")
    ${with_names(downgrades) if downgrades else "pass"}
