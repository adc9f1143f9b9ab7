"""The YAML job file: reading, checking, and turning it into a run of the engine."""

from crawler.jobs.findings import Finding as Finding
from crawler.jobs.findings import JobError as JobError
from crawler.jobs.findings import Mark as Mark
from crawler.jobs.job import Job as Job
from crawler.jobs.load import job_from_lists as job_from_lists
from crawler.jobs.load import job_from_urls as job_from_urls
from crawler.jobs.load import load_job as load_job
from crawler.jobs.schema import json_schema as json_schema
