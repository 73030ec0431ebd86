FROM node:24
COPY package.json package-lock.json ./
RUN npm ci && npm cache clean --force
