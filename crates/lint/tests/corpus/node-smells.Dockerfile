FROM node
RUN mkdir -p /usr/src/app
WORKDIR usr/src/app
COPY package.json .
RUN npm install
RUN npm install -g pm2 nodemon@2.0.0
COPY . .
ENV NODE_ENV=production PORT=3000
EXPOSE 3000
USER root
CMD npm start
