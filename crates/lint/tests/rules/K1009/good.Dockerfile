FROM node:24
COPY . .
RUN npm ci
RUN npm run build && npm prune --omit=dev
