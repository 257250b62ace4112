# The service. Build from the root of the repository:
#   docker build -f docker/serve.Dockerfile -t signstream:cpu .
#   docker build -f docker/serve.Dockerfile -t signstream:cuda --build-arg RUNTIME=cuda .
# The CUDA image brings CUDA and cuDNN as Python packages; the host brings the driver and the NVIDIA container runtime.

FROM python:3.11-slim-bookworm AS packages
ARG RUNTIME=cpu
WORKDIR /build
RUN python -m venv --without-pip /venv
COPY pyproject.toml docker/requirements.py ./
RUN --mount=type=cache,target=/root/.cache/pip \
    python requirements.py "$RUNTIME" \
    && pip --python /venv/bin/python install --disable-pip-version-check -r requirements.txt \
    && pip --python /venv/bin/python install --disable-pip-version-check --no-deps -r bare.txt

FROM python:3.11-slim-bookworm
COPY --from=packages /venv /venv
WORKDIR /srv
COPY LICENSE ./
COPY landmarks landmarks
COPY service service
COPY client/web client/web
COPY models/pretrained models/pretrained
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    XDG_CACHE_HOME=/srv/cache \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    HOST=0.0.0.0 \
    PORT=8000
RUN python -m landmarks convert-models
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=2); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
CMD ["python", "-m", "service"]
