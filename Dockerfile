# syntax=docker/dockerfile:1
# The image of both planes: `make image BASE=python:3.13-slim@sha256:…`.
#
# The base is pinned by the digest that the builder names: `make image` takes no BASE without one. A digest written
# here would be out of date at the base's next security fix. Every Python package is pinned by hash.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /source
COPY . .
RUN ["image/install.sh", "python3", "/source", "/opt/tidewaiter"]

FROM ${BASE}
ARG BASE
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Tidewaiter" \
      org.opencontainers.image.description="Kubernetes policy enforcement with accepted risks" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.base.name="${BASE}"
# The base has neither its standard library compiled nor a use for pip: with a read-only root Python would
# compile at every start.
RUN ["python3", "-m", "pip", "uninstall", "--yes", "--quiet", "--root-user-action=ignore", "pip"]
RUN ["python3", "-c", "import compileall, sysconfig; compileall.compile_dir(sysconfig.get_path('stdlib'), quiet=2, invalidation_mode=compileall.PycInvalidationMode.UNCHECKED_HASH)"]
COPY --from=build /opt/tidewaiter /opt/tidewaiter
ENV PATH=/opt/tidewaiter/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1
# A number, so that a kubelet can see that it is not root.
USER 65532:65532
WORKDIR /
EXPOSE 8443 8080 8081
ENTRYPOINT ["/opt/tidewaiter/bin/tidewaiter"]
