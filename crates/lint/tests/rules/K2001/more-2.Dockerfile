FROM node:20 AS a
COPY ./* ./
RUN npm ci
FROM node:20 AS b
COPY [".//", "/app"]
RUN npm ci
FROM node:20 AS c
COPY "." .
RUN npm ci
FROM node:20 AS d
COPY */a ./src/. /app/
RUN npm ci
FROM node:20
COPY --from=d . .
RUN npm ci
