# crunchbed with everything that packages.txt and requirements.txt name. It makes namespaces, bridges,
# cgroups and kernel hooks on the machine that it runs on: see docker-compose.yml for what it needs.
ARG BASE=debian:12.11-slim
FROM ${BASE}

RUN apt-get update \
    && apt-get install -y --no-install-recommends make ca-certificates kmod procps \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /srv/crunchbed
# The packages take minutes and change seldom: a layer of their own.
COPY Makefile packages.txt ./
COPY scripts/setup.sh scripts/setup.sh
RUN make packages && rm -rf /var/lib/apt/lists/*

COPY . .
RUN make python

# The hooks are compiled at the start, against the types of the kernel that is there then.
ENTRYPOINT ["scripts/container.sh"]
CMD ["--help"]
