# holdfast in an image, in front of what is there (docs/IMAGE.md):
#
#   docker build -t convex-holdfast .                                        the Convex backend, ports 3210 and 3211
#   docker build -t convex-holdfast --build-arg BASE=IMAGE:TAG .             … another release of it
#   docker build -t my-app-holdfast --target app --build-arg APP=my-app .    any application; its command follows the name
#   docker build -t holdfast --target holdfast .                             only the folder, to copy from in a Dockerfile of yours
#
# holdfast comes in one folder, /opt/holdfast, with the C library and all else it is linked with. So it depends on nothing
# in the final image, and BUILDER need not be of the same distribution.
ARG BUILDER=ubuntu:noble
ARG BASE=ghcr.io/get-convex/convex-backend:latest
ARG APP=scratch

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
RUN ./bootstrap deps && make -j "$(nproc)" image-folder FOLDER=/opt/holdfast

FROM scratch AS holdfast
COPY --from=build /opt/holdfast /opt/holdfast

FROM ${APP} AS app
COPY --from=build /opt/holdfast /opt/holdfast
ENTRYPOINT ["/opt/holdfast/bin/holdfast", "run", "--"]

# The working directory stays /convex, where an operator finds generate_admin_key.sh.
FROM ${BASE} AS convex
COPY --from=build /opt/holdfast /opt/holdfast
RUN /opt/holdfast/share/prepare-convex.sh /convex
ENV HOLDFAST_SITE_LISTEN=0.0.0.0:3211 HOLDFAST_STOP_SIGNAL=INT HOLDFAST_DRAIN_ALLOW=/api/actions/*
EXPOSE 3210 3211
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/holdfast/bin/holdfast", "run", "--", "/opt/holdfast/convex/run_backend.sh"]
