"""From one centre's export to the canonical raw tables: nothing lost, nothing silently coerced.

A file or a configuration that cannot be used raises an error that lists every problem of the site. A cell or row
that cannot be used goes to the quarantine table with its origin, its text as it stood and the reason.
"""

from sorafenib_rfa.ingest.site import Ingested, SiteReader, ingest_site

__all__ = ["Ingested", "SiteReader", "ingest_site"]
