FROM node:20-bookworm-slim AS installer
WORKDIR /repo
COPY --link .yarnrc.yml package.json yarn.lock ./
COPY --link .yarn/releases ./.yarn/releases
COPY --parents ./packages/*/package.json ./
RUN --mount=type=cache,target=/root/.yarn/berry/cache,sharing=locked yarn install --immutable

FROM installer AS builder
COPY --link . .
RUN yarn workspaces foreach -At run build

FROM gcr.io/distroless/nodejs20-debian12:nonroot
COPY --from=builder --chown=65532:65532 /repo/packages/server/dist /app
WORKDIR /app
CMD ["main.js"]
