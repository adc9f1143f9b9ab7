"""The benchmarks of the client and the engine: `python -m benchmarks`; see `docs/performance.md`.

__main__   the command
rows       what is measured, and the goals
rounds     runs the clients of a row in turn, several times over
worker     one client in a process of its own; `clients` has one function per client
programs   wrk, h2load and curl: what the server and the machine can do
servers    nginx, started for the run
machine    cores, versions
report     the table, JSON, and the parts of README.md and docs/performance.md; `chart` the picture
crawl      a whole crawl against Scrapy, a command of its own; `engine` and `downloads` likewise
profile    where the time of a request goes, by room, file, function and line
"""
