FROM node:20 AS build
WORKDIR /app
COPY package*.json .npmrc ./
RUN --mount=type=secret,id=npm,env=NPM_TOKEN \
    --mount=type=secret,id=ca,target=/usr/local/share/ca-certificates/ca.crt,mode=0444 \
    npm ci
COPY . .
RUN npm run build && npm prune --omit=dev
FROM node:20-slim
COPY --from=build --chown=1000:1000 /app /app
USER 1000
CMD ["node", "/app"]
