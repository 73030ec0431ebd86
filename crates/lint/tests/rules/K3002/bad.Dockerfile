FROM node:24
RUN npm config set strict-ssl false
