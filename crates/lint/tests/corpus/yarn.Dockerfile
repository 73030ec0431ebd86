FROM node:18 AS deps
RUN yarn install --frozen-lockfile
FROM node:18
RUN yarn --cwd /app install && yarn cache clean
RUN yarn global add serve
RUN corepack enable && yarn install
RUN npm --prefix /app install express@4
RUN npx create-react-app x
