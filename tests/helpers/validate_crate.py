"""Validate a folder as a Workflow Run RO-Crate; run by a Python that has roc-validator.

Usage: validate_crate.py FOLDER CONTEXT. The validator fetches the JSON-LD context, which is
given as a file here: tests need no network.
"""

import sys
import urllib.request
from pathlib import Path

import requests
from rocrate_validator import models, services

# The library's copy is of 1.3; the one term that an archive uses and that moved is as in 1.1.
TEXT = (
    Path(sys.argv[2])
    .read_text()
    .replace("bioschemas.org/terms/Comp", "bioschemas.org/Comp")
)
STORED = Path(sys.argv[1]).parent / "context.jsonld"
OPENED = urllib.request.OpenerDirector.open


def local(self, request, *arguments, **options):
    """Open the stored context where the validator's JSON-LD parser asks for it."""
    url = getattr(request, "full_url", request)
    ours = STORED.as_uri() if "w3id.org/ro/crate" in url else request
    return OPENED(self, ours, *arguments, **options)


def answer(self, method, url, *arguments, **options):
    """Answer the validator's own request for the context."""
    assert "w3id.org/ro/crate" in url
    found = requests.Response()
    found.status_code, found._content = 200, TEXT.encode()
    found.headers["Content-Type"] = "application/ld+json"
    return found


STORED.write_text(TEXT)
urllib.request.OpenerDirector.open = local
requests.Session.request = answer
result = services.validate(
    services.ValidationSettings(
        rocrate_uri=sys.argv[1],
        profile_identifier="workflow-run-crate",
        requirement_severity=models.Severity.REQUIRED,
    )
)
for issue in result.get_issues():
    print(issue.message)
print(f"valid: {result.passed()}")
