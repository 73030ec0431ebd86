FROM node:20
RUN npm install -g typescript@5.5.4
