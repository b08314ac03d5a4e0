"""The report of a job: its content as JSON with a published schema, and one page that opens offline."""
