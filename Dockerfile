# A node of Hubbub, in an image of about 35 MB without a shell.
#
#   docker build --tag hubbub .
#   docker run --rm --publish 8080:8080 hubbub
#
# The bases are arguments, so that a mirror can stand in for them without an edit. Newer digests:
#   docker buildx imagetools inspect docker.io/library/rust:1.95.0-slim-bookworm
ARG BUILDER_IMAGE=docker.io/library/rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082
# With glibc, certificates and time zones; without OpenSSL, which nothing here uses.
ARG RUNTIME_IMAGE=gcr.io/distroless/base-nossl-debian12:nonroot@sha256:be40c00dfabd86576d92666e87e406714d5618342de1a0c213ad232de255172e

# What decides about the dependencies, and nothing else: the manifests and the lock file, around empty crates. As long as
# these do not change, the layer of the next stage is taken from the cache, also on a machine that has only the cache's
# layers. (A cache mount would not travel with them, and cargo-chef would itself have to be compiled.)
FROM ${BUILDER_IMAGE} AS manifests
WORKDIR /src
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock -delete \
    && for manifest in */Cargo.toml; do \
        crate=${manifest%/*} \
        && mkdir -p "$crate/src" "$crate/tests" \
        && : > "$crate/src/lib.rs" \
        && echo 'fn main() {}' > "$crate/src/main.rs" \
        # Tests are not in the context; those that a manifest names have to be there.
        && sed -n "/^\[\[test]]/,/^\$/s|^name = \"\(.*\)\"|$crate/tests/\1.rs|p" "$manifest" >> /tests || exit 1; \
    done \
    && xargs --no-run-if-empty touch < /tests \
    && find . -exec touch --date=@0 {} +

FROM ${BUILDER_IMAGE} AS dependencies
# For a build that is done sooner and runs slower, as tests want it; when not given, the profile in Cargo.toml holds.
ARG CARGO_PROFILE_RELEASE_CODEGEN_UNITS
ARG CARGO_PROFILE_RELEASE_DEBUG
ARG CARGO_PROFILE_RELEASE_LTO
ARG CARGO_PROFILE_RELEASE_OPT_LEVEL
WORKDIR /src
COPY --from=manifests /src .
# What was made of the empty crates is removed: cargo would take it for newer than the sources.
RUN cargo build --locked --release --package node \
    && cargo clean --locked --release --package node --package actors --package protocol

FROM dependencies AS build
# Again: not every builder hands them on from stage to stage.
ARG CARGO_PROFILE_RELEASE_CODEGEN_UNITS
ARG CARGO_PROFILE_RELEASE_DEBUG
ARG CARGO_PROFILE_RELEASE_LTO
ARG CARGO_PROFILE_RELEASE_OPT_LEVEL
COPY protocol protocol
COPY actors actors
COPY node node
RUN cargo build --locked --offline --release --package node --bin node \
    && mkdir -p /out/data \
    && objcopy --only-keep-debug target/release/node /out/node.debug \
    && objcopy --strip-all --add-gnu-debuglink=/out/node.debug target/release/node /out/node \
    && cp "$(gcc -print-file-name=libgcc_s.so.1)" /out/

# The symbols of a release, for addr2line and debuggers: docker build --target symbols --output symbols .
FROM scratch AS symbols
COPY --from=build /out/node.debug /

FROM ${RUNTIME_IMAGE} AS node
ARG CREATED=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Hubbub" \
      org.opencontainers.image.description="A node of a Hubbub chat cluster" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}"
# All that Rust's programs need beside glibc.
COPY --from=build /out/libgcc_s.so.1 /usr/lib/
COPY --from=build --chown=10001:10001 /out/data /var/lib/hubbub
COPY --from=build /out/node /usr/local/bin/node
# Nobody in particular; owns nothing but the data.
USER 10001:10001
WORKDIR /var/lib/hubbub
ENV HUBBUB__DATA_DIR=/var/lib/hubbub \
    HUBBUB__LOG__FORMAT=json
# The embedded store. With Postgres nothing is written, and the root may be read-only anyway.
VOLUME ["/var/lib/hubbub"]
EXPOSE 8080 9090
# Ready, not only alive: what is starting, draining or without its store gets no new clients.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/local/bin/node", "healthcheck"]
# Drains. Give it longer than drain.seconds (60): docker stop --time 75.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/node"]
