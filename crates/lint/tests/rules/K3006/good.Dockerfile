FROM node:24
COPY package.json ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm install
