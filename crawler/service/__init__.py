"""The service: schedules, runs in processes of their own, an HTTP API and a page to look at; `crawler serve`."""
