# An edge: one process, no Ray cluster beside it. Build from the project's root:
#   docker build -f deploy/docker/edge.Dockerfile -t isthmus-edge .
# Models are artifacts in the image (or a volume): data that needs no source, no export and no network at a start.
ARG PYTHON=3.11-slim-bookworm
FROM python:${PYTHON} AS build
# torch first and alone: asked for by another package's open range, pip would take whatever build is newest. TORCH_OPTIONS
# names the index that has the build for this hardware (--index-url ...): one for CPUs alone saves gigabytes.
ARG TORCH_OPTIONS=
# hadolint ignore=SC2086
RUN python -m venv /opt/isthmus && /opt/isthmus/bin/pip install --no-cache-dir ${TORCH_OPTIONS} "torch>=2.6,<2.14"
WORKDIR /src
COPY . .
RUN /opt/isthmus/bin/pip install --no-cache-dir ".[zoo]"
ARG MODELS=isthmus.zoo:efficientnet_lite0
RUN for model in ${MODELS}; do \
      /opt/isthmus/bin/isthmus import "${model}" -o "/models/${model##*:}" || exit 1; \
    done

FROM python:${PYTHON}
RUN useradd --uid 10001 --create-home isthmus && install -d -o isthmus /var/cache/isthmus
COPY --from=build /opt/isthmus /opt/isthmus
COPY --from=build /models /models
ENV PATH=/opt/isthmus/bin:$PATH XDG_CACHE_HOME=/var/cache/isthmus PYTHONUNBUFFERED=1
USER 10001
# What was measured here, so that a restart measures nothing: keep it in a volume.
VOLUME /var/cache/isthmus
WORKDIR /etc/isthmus
EXPOSE 8001 9464
STOPSIGNAL SIGTERM
# A drain answers what was accepted, for 10 s at most: give it longer than that (docker stop --time 15).
# How the edge is asked whether it is ready. One with edge.tls: "--server localhost:8001 --tls-authority FILE".
ENV STATUS_OPTIONS="--server 127.0.0.1:8001"
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["sh", "-c", "exec isthmus status ${STATUS_OPTIONS}"]
ENTRYPOINT ["isthmus"]
CMD ["edge", "isthmus.yaml"]
