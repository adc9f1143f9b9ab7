# The service as an image: built in one stage, run from another that has no build tools, no pip cache and no sources.
#
#   docker build -t crawler .
#   docker run --read-only --tmpfs /tmp -e CRAWLER_TOKEN=… -v ./configs/service:/jobs:ro -v crawler-state:/state -p 127.0.0.1:8007:8007 crawler
#
# `.ci/check_container.py` does what this file says without an engine: change both, or it fails.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY crawler ./crawler
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir hatchling \
    && /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .
RUN python -m venv /opt/crawler \
    && /opt/crawler/bin/pip install --no-cache-dir -c constraints.txt "$(ls /wheels/crawler-*.whl)[service,telemetry]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/crawler /opt/crawler
# The volumes of /state take this owner over when they are empty.
RUN install -d -o 10001 -g 10001 -m 0750 /state && install -d -m 0755 /jobs
ENV PATH=/opt/crawler/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /state
VOLUME ["/state"]
EXPOSE 8007
# Runs have 8 seconds to end in order; give the container 10 before it is killed.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["/opt/crawler/bin/python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8007, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["crawler"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8007", "--jobs", "/jobs", "--state", "/state"]
