FROM ghcr.io/cirruslabs/flutter:3.24.3 AS build
WORKDIR /app
COPY pubspec.* ./
RUN flutter pub get
COPY . .
ARG API_URL=https://api.example
RUN flutter build web --release --dart-define=API_URL=${API_URL}
FROM nginx:1.27-alpine-slim
COPY --from=build /app/build/web /usr/share/nginx/html
