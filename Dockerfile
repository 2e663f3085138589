# One image for every process of kvmweb: `script/process NAME` chooses. docker-compose.yml runs them together.
#
#   docker build -t kvmweb .
#
# Debian 12 on purpose: libvirt-python is compiled against the libvirt that the image then runs with.
ARG KVMWEB_BASE_IMAGE=debian:12-slim

FROM ${KVMWEB_BASE_IMAGE} AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates gcc gettext librrd-dev libvirt-dev pkg-config python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/kvmweb
COPY requirements.txt ./
RUN python3 -m venv .venv \
    && .venv/bin/pip install --no-cache-dir --no-input --progress-bar off --require-hashes -r requirements.txt

# The front end, in a stage of its own: Node.js stays here.
FROM build AS assets
COPY package.json package-lock.json .npmrc requirements-node.txt ./
COPY script/assets script/assets
COPY static static
RUN script/assets

FROM build AS site
COPY . .
COPY --from=assets /opt/kvmweb/static/vendor static/vendor
RUN find . -path ./.venv -prune -o -name '*.po' -print | while read -r po; do msgfmt -o "${po%.po}.mo" "$po"; done \
    && KVMWEB_SECRET_KEY=build KVMWEB_VAR=/tmp/var KVMWEB_STATIC_ROOT=/opt/kvmweb/staticfiles \
        .venv/bin/python manage.py collectstatic --noinput -v 0 \
    && .venv/bin/python -m compileall -q accounts consoles guests history hosts inventory jobs kvmweb networking storage virt

FROM ${KVMWEB_BASE_IMAGE}
# libvirtd asks its own machine who the caller is: let the number be that of user kvmweb there (deploy/compose-env).
ARG KVMWEB_UID=10001
RUN useradd --system --uid ${KVMWEB_UID} --user-group --no-create-home --home-dir /var/lib/kvmweb \
        --shell /usr/sbin/nologin kvmweb \
    && install -d -o kvmweb -m 0750 /var/lib/kvmweb \
    && install -d -m 0755 /run/kvmweb \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates gpgv librrd8 libsasl2-modules libvirt0 openssh-client osinfo-db python3 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/kvmweb
COPY --from=site /opt/kvmweb /opt/kvmweb
ENV KVMWEB_BIND=0.0.0.0 \
    KVMWEB_PORT=8000 \
    KVMWEB_VAR=/var/lib/kvmweb \
    KVMWEB_STATIC_ROOT=/opt/kvmweb/staticfiles \
    KVMWEB_HELPER_SOCKET=/run/kvmweb/helper.sock \
    HOME=/var/lib/kvmweb \
    LANG=C.UTF-8 \
    MALLOC_ARENA_MAX=2 \
    PYTHONUNBUFFERED=1
USER kvmweb
EXPOSE 8000
ENTRYPOINT ["script/process"]
CMD ["web"]
