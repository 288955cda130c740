"""Bring in answers from elsewhere: tables, inspect_ai logs and lm-eval samples in; response records on disk out."""

from prefbench.importing.importer import ImportReport, import_responses
from prefbench.importing.records import FIELDS, hash_prompt
from prefbench.importing.tables import read_rows
from prefbench.importing.verdicts import VerdictRule

__all__ = ["FIELDS", "ImportReport", "VerdictRule", "hash_prompt", "import_responses", "read_rows"]
