FROM node:24
COPY . .
RUN npm ci --omit=dev
RUN npm run build
