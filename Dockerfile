# One broker in an image: non-root, data in a volume, nothing written outside it.
#
#     docker build --tag kbroker .
#     docker run --publish 9092:9092 kbroker
#
# Any image with Python 3.11 or newer can be the base: --build-arg BASE_IMAGE=...
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /src
RUN python3 -m venv /opt/kbroker
# First what changes seldom: the dependencies, as a layer of their own.
COPY pyproject.toml tools/image/dependencies.py ./
RUN python3 dependencies.py pyproject.toml > requirements.txt \
    && /opt/kbroker/bin/python -m pip install --no-cache-dir --no-compile --requirement requirements.txt
COPY . .
RUN /opt/kbroker/bin/python -m pip install --no-cache-dir --no-compile --no-deps . \
    && /opt/kbroker/bin/python -m pip uninstall --yes --quiet pip setuptools \
    # Compiled here: the running container may not write, and starts in a blink.
    && /opt/kbroker/bin/python -m compileall -q -j 0 /opt/kbroker/lib \
    # For type checkers, for PyPy, and for debuggers: half of the weight.
    && find /opt/kbroker/lib \( -name '*.pyi' -o -path '*/zstandard/*_cffi*' \) -delete \
    && find /opt/kbroker/lib -name '*.so' -exec python3 tools/image/strip.py {} + \
    && mkdir -p /var/lib/kbroker/data

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="kbroker" \
      org.opencontainers.image.description="A durable broker that speaks Kafka's wire protocol" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/kbroker /opt/kbroker
COPY --from=build /src/tools/image/start /usr/local/bin/start-kbroker
# A number, so that "runAsNonRoot" can be checked without the image's passwd.
COPY --from=build --chown=1000:1000 /var/lib/kbroker /var/lib/kbroker
ENV PATH=/opt/kbroker/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 1000:1000
WORKDIR /var/lib/kbroker
VOLUME /var/lib/kbroker/data
EXPOSE 9092
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["start-kbroker", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["start-kbroker"]
