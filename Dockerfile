# syntax=docker/dockerfile:1
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/ledgerhook/ledgerhook/internal/app.version=${VERSION}" -o /out/server ./cmd/server \
 && mkdir -p /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/server /server
# The inbox lives here: mount a volume, or an acknowledged event dies with the container.
COPY --from=build --chown=65532:65532 /out/data /data
ENV LEDGERHOOK_DATABASE_URL=sqlite:/data/ledgerhook.db
USER 65532:65532
VOLUME /data
EXPOSE 8080 9090
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s --retries=3 CMD ["/server", "healthcheck"]
ENTRYPOINT ["/server"]
CMD ["serve"]
