"""Sorafenib with radiofrequency ablation in hepatocellular carcinoma: a paper that can be regenerated and audited.

One package a stage, in the order the data travel: ``simulate`` (synthetic cohorts only), ``ingest``, ``clean``,
``adam``, ``estimates`` (analysis results data), ``exhibits``, ``notebooks``, ``manuscript``. Shared by all:
``config``, ``clinical``, ``stats``, ``records``. Nothing here imports Snakemake.
"""

__version__ = "0.1.0"
