FROM node:24
RUN npm config set cafile /etc/ssl/certs/own.pem
