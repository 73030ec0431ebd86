FROM node:16-alpine
WORKDIR /app
ONBUILD COPY package*.json ./
ONBUILD RUN npm install && npm install -g typescript
ONBUILD COPY . .
ONBUILD RUN apk add --no-cache python3
ONBUILD RUN cd src && make
ONBUILD RUN apt-get update && apt-get install curl
CMD [ "npm", "start" ]
