# A cloud side: `isthmus cloud` by itself, and the image of a Ray cluster's pods (deploy/kuberay). From the project's root:
#   docker build -f deploy/docker/cloud.Dockerfile -t isthmus-cloud .
# For GPUs: a torch built for them (TORCH_OPTIONS below), and a container runtime that shows them.
ARG PYTHON=3.11-slim-bookworm
FROM python:${PYTHON} AS build
# torch first and alone: asked for by another package's open range, pip would take whatever build is newest. TORCH_OPTIONS
# names the index that has the build for this hardware (--index-url ...): one for CPUs alone saves gigabytes.
ARG TORCH_OPTIONS=
# hadolint ignore=SC2086
RUN python -m venv /opt/isthmus && /opt/isthmus/bin/pip install --no-cache-dir ${TORCH_OPTIONS} "torch>=2.6,<2.14"
WORKDIR /src
COPY . .
# ray[default]: what KubeRay asks a head for, its dashboard and job server.
RUN /opt/isthmus/bin/pip install --no-cache-dir ".[zoo]" "ray[default,serve]>=2.50,<3"
ARG MODELS=isthmus.zoo:efficientnet_lite0
RUN for model in ${MODELS}; do \
      /opt/isthmus/bin/isthmus import "${model}" -o "/models/${model##*:}" || exit 1; \
    done

FROM python:${PYTHON}
# wget: with it KubeRay's probes ask the Ray processes whether they live.
RUN apt-get update && apt-get install -y --no-install-recommends wget=1.* && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home isthmus && install -d -o isthmus /var/cache/isthmus
COPY --from=build /opt/isthmus /opt/isthmus
COPY --from=build /models /models
ENV PATH=/opt/isthmus/bin:$PATH XDG_CACHE_HOME=/var/cache/isthmus PYTHONUNBUFFERED=1 RAY_USAGE_STATS_ENABLED=0
USER 10001
WORKDIR /etc/isthmus
EXPOSE 8100 9000 9465
STOPSIGNAL SIGTERM
CMD ["isthmus", "cloud", "isthmus.yaml"]
