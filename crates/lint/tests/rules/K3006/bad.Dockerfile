FROM node:24
COPY .npmrc package.json ./
RUN npm install
