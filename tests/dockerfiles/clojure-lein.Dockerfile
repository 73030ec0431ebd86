FROM clojure:temurin-21-lein-bookworm-slim AS builder
WORKDIR /usr/src/app
COPY project.clj .
RUN lein deps
COPY . .
RUN mv "$(lein uberjar | sed -n 's/^Created \(.*standalone\.jar\)/\1/p')" app-standalone.jar
FROM eclipse-temurin:21-jre
COPY --from=builder /usr/src/app/app-standalone.jar /
CMD ["java", "-jar", "/app-standalone.jar"]
